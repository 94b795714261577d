import torch

from morlight.operators.lstsq import lstsq


def test_solution_does_not_depend_on_memory_that_others_have_used():
    torch.manual_seed(0)
    A, y = torch.randn(256, 64, dtype=torch.float64), torch.randn(256, 1, dtype=torch.float64)
    found = set()
    for _ in range(50):
        used = [torch.randint(0, 3, (64,), dtype=torch.int32) for _ in range(9)]
        del used
        found.add(lstsq(A, y).numpy().tobytes())
    assert len(found) == 1


def test_solution_of_dependent_columns_is_the_smallest():
    A = torch.zeros(2, 3, 3, dtype=torch.float64)
    A[0], A[1, 0, 1], A[1, 1, 2] = torch.eye(3), 1.0, 1.0
    x = lstsq(A, torch.ones(2, 3, 1, dtype=torch.float64))
    assert torch.allclose(x[..., 0], torch.tensor([[1.0, 1.0, 1.0], [0.0, 1.0, 1.0]], dtype=torch.float64))
