"""Counts in cells: the library against torch, integers, and positions that rounding leads beyond the last cell."""

import math
import resource
from pathlib import Path

import pytest
import torch

from morlight.data.particles.cell_sums import cell_sums, cell_sums_by_torch

GRIDS = [((12,), (2.0,)), ((16, 10), (1.0, 2 * math.pi)), ((4, 3, 5), (1.0, 2 * math.pi, 0.3))]


@pytest.mark.parametrize(("points", "length"), GRIDS)
@pytest.mark.parametrize("weighted", [False, True])
def test_torch_bins_on_other_devices_as_the_library_does(points, length, weighted):
    generator = torch.Generator().manual_seed(0)
    x = 1.2 * torch.rand(len(length), 2000, generator=generator, dtype=torch.float64)  # some outside
    x *= torch.tensor(length, dtype=torch.float64)[:, None]
    w = torch.arange(2000, dtype=torch.float64) if weighted else None
    ranges = [(0.1 * L, L) for L in length]
    assert torch.equal(cell_sums_by_torch(x, points, ranges, w), cell_sums(x, points, ranges, w))


def test_integer_positions_fill_cells_of_equal_numbers_of_integers():
    turn = 2.0**32
    for cells in (256, 100):
        edges = [math.ceil(k * 2**32 / cells) - 2**31 for k in range(cells)]  # the first integer of each cell
        x = torch.tensor([[y - 1 for y in edges[1:]] + edges], dtype=torch.int32)
        expected = torch.full((cells,), 2.0, dtype=torch.float64)
        expected[-1] = 1
        assert torch.equal(cell_sums(x, (cells,), [(-turn / 2, turn / 2)]), expected)


def test_no_position_below_the_end_is_counted_beyond_the_last_cell():
    beyond = 0
    for points in range(2, 2000):
        below = math.nextafter(0.3, 0)
        beyond += below * (points / 0.3) >= points  # by rounding; the library does not check
        counts = cell_sums(torch.tensor([[below, 0.3]], dtype=torch.float64), (points,), [(0.0, 0.3)])
        assert counts[-1] == counts.sum() == 1
    assert beyond


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads from /proc how much memory is taken already")
def test_more_cells_than_memory_has_are_an_error_of_memory():
    taken = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (taken + 2**28, limits[1]))
    try:
        with pytest.raises(MemoryError, match="for 1000000000 cells"):
            cell_sums(torch.zeros(1, 1, dtype=torch.float64), (10**9,), [(0.0, 1.0)])
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, limits)
