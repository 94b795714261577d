"""One pass over the points against layer by layer; a C++ compiler is there wherever the tests run."""

import copy
import os
import shutil
import stat
import subprocess
import sys

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from morlight.operators.kernels import compiled, fused
from morlight.operators.kernels.table import Interpolate
from morlight.operators.networks import Perceptrons

EPSILON = {torch.float64: 1e-14, torch.float32: 1e-5}  # sums of some thousand terms in another order


def network(inputs=2, outputs=1, *, realizations=3, copies=2, dtype=torch.float64, **sizes):
    made = Perceptrons(inputs, outputs, seeds=tuple(range(realizations)), copies=copies, **sizes).to(dtype)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.uniform_(-1, 1, generator=generator)
    return made


def points(*shape, dtype=torch.float64):
    return (3 * torch.randn(*shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)).to(dtype)


def close(one, other, dtype):
    return (one - other).abs().max() <= EPSILON[dtype] * other.abs().max()


def test_the_source_compiles_and_is_what_networks_use():
    net, x = network(), points(1, 2, 5)
    assert fused.serves(x, *net.parameters())
    for one in (net, copy.deepcopy(net)):
        assert one(x).grad_fn.name().startswith("Layers")


@pytest.mark.parametrize("dtype", EPSILON)
@pytest.mark.parametrize("count", [1, 63, 64, 777, 4096])
@pytest.mark.parametrize(("width", "depth"), [(4, 4), (1, 2), (7, 3), (5, 1), (8, 8)])
@pytest.mark.parametrize("shared", [True, False])
def test_networks_and_their_gradients_are_those_layer_by_layer(dtype, count, width, depth, shared):
    net = network(3, 2, width=width, depth=depth, dtype=dtype)
    x = points(1 if shared else 3, 3, count, dtype=dtype).requires_grad_()
    parameters = [*net.weights, *net.offsets]
    y, due = net(x), net.plain(x, parameters)
    assert close(y, due, dtype)
    of_y = torch.randn(y.shape, generator=torch.Generator().manual_seed(3)).to(dtype)
    for one, other in zip(*(torch.autograd.grad(value, [x, *parameters], of_y) for value in (y, due)), strict=True):
        assert one.shape == other.shape
        assert close(one, other, dtype)


def test_derivatives_are_those_of_differences_twice():
    net, x = network(width=3, depth=3), points(1, 2, 4).requires_grad_()
    names = [name for name, _ in net.named_parameters()]

    def value(x, *parameters):
        return torch.func.functional_call(net, dict(zip(names, parameters, strict=True)), (x,))

    inputs = (x, *[parameter.detach().requires_grad_() for parameter in net.parameters()])
    assert value(*inputs).grad_fn.name().startswith("Layers")
    assert gradcheck(value, inputs)
    assert gradgradcheck(value, inputs)


def test_exponentials_are_exact_wherever_they_are_taken():
    """elu alone: one weight of 1 on each side, no offsets."""
    net = network(1, 1, realizations=1, copies=1, width=1, depth=2)
    with torch.no_grad():
        for weight, offset in zip(net.weights, net.offsets, strict=True):
            weight.fill_(1.0)
            offset.zero_()
    small = [-(10.0**power) for power in range(-300, 4)]
    x = torch.tensor([*small, 0.0, 1e-300, 3.0, 1e300, -708.5, -1e300, float("inf"), -float("inf"), float("nan")])
    x = torch.cat([x, torch.linspace(-40, 0, 2001)]).double().view(1, 1, -1)
    found, due = net(x).flatten(), torch.where(x > 0, x, torch.expm1(x)).flatten()
    assert torch.equal(found.isnan(), due.isnan())
    assert torch.allclose(found[~due.isnan()], due[~due.isnan()], rtol=4e-16, atol=0)  # two units in the last place


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_and_the_chunks_they_make_change_nothing_but_rounding(threads):
    net, x = network(realizations=2), points(2, 2, 5000)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        y = net(x)
        found = torch.autograd.grad(y.sum(), list(net.parameters()))
    finally:
        torch.set_num_threads(before)
    due = torch.autograd.grad(net.plain(x, [*net.weights, *net.offsets]).sum(), list(net.parameters()))
    for one, other in zip(found, due, strict=True):
        assert close(one, other, torch.float64)


def test_points_may_lie_in_memory_in_any_order():
    net = network()
    for x in (points(1, 2, 9).expand(3, -1, -1), points(3, 9, 2).transpose(1, 2), points(3, 4, 9)[:, 1:3]):
        assert close(net(x), net(x.contiguous()), torch.float64)


@pytest.mark.parametrize("dtype", EPSILON)
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("count", [1, 500, 6000])
def test_interpolation_is_that_of_torch(dtype, shared, count):
    x = points(1 if shared else 4, count, dtype=dtype).requires_grad_()  # some beyond both ends
    table = points(4, 33, dtype=dtype).requires_grad_()
    y, due = (form.apply(x, table, -2.0, 4 / 32) for form in (fused.Interpolate, Interpolate))
    assert close(y, due, dtype)
    of_y = torch.randn(y.shape, generator=torch.Generator().manual_seed(3)).to(dtype)
    both = [torch.autograd.grad(value, [x, table], of_y) for value in (y, due)]
    for one, other in zip(*both, strict=True):
        assert close(one, other, dtype)


def test_transforms_of_functions_see_single_operations():
    net, x = network(), points(3, 2, 5)
    value, change = torch.func.jvp(net, (x,), (torch.ones_like(x),))
    step = 1e-6
    assert torch.allclose(change, (net(x + step) - net(x - step)) / (2 * step), atol=1e-8)
    assert close(net(x), value, torch.float64)


def values():
    """Whether the compiled library is used, and what a network yields."""
    found = compiled.library() is not None
    return found, Perceptrons(1, 1)(torch.linspace(-1, 1, 100).view(1, 1, -1)).sum().item()


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """A process that has neither looked for the library nor a cache; compiled without optimization, for speed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compiled, "FLAGS", ["-O0" if flag == "-O3" else flag for flag in compiled.FLAGS])
    compiled.library.cache_clear()
    yield tmp_path / "morlight" / "kernels"
    compiled.library.cache_clear()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A cache with the library of `fresh`."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        patch.setattr(compiled, "FLAGS", ["-O0" if flag == "-O3" else flag for flag in compiled.FLAGS])
        before = os.umask(0)
        try:
            compiled.library.cache_clear()
            assert compiled.library() is not None
        finally:
            os.umask(before)
            compiled.library.cache_clear()
    return folder / "morlight" / "kernels"


@pytest.fixture
def cached(fresh, made):
    """The library in a cache of its own, that the process has not looked for."""
    shutil.copytree(made, fresh)
    (path,) = fresh.iterdir()
    return path


@pytest.mark.parametrize("hindrance", [{"MORLIGHT_FUSED": "0"}, {"PATH": "", "CXX": ""}, {"CXX": "false"}])
def test_without_a_compiler_that_works_networks_are_evaluated_by_torch(fresh, monkeypatch, caplog, hindrance):
    expected = values()
    assert expected[0]
    shutil.rmtree(fresh)
    for key, value in hindrance.items():
        monkeypatch.setenv(key, value)
    compiled.library.cache_clear()
    found, value = values()
    assert not found
    assert value == pytest.approx(expected[1], rel=1e-5)
    assert ("fused.cpp and elementwise.cpp are not compiled" in caplog.text) == (hindrance == {"CXX": "false"})


PROGRAM = """
from morlight.operators.kernels import compiled
compiled.FLAGS[compiled.FLAGS.index("-O3")] = "-O0"
print(compiled.library() is not None)
"""


def test_processes_that_compile_at_once_find_one_whole_library(fresh):
    command = [sys.executable, "-c", PROGRAM]  # which have the environment of this process
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [one.communicate()[0] for one in running] == ["True\n"] * 2
    assert [path.suffix for path in fresh.iterdir()] == [".so"]


def test_the_library_lies_where_only_its_user_can_enter(made):
    assert stat.S_IMODE(made.stat().st_mode) == 0o700


@pytest.mark.parametrize("damage", ["truncated", "changed", "empty", "not a library"])
def test_a_damaged_library_is_made_anew_and_never_loaded(cached, caplog, damage):
    whole = cached.read_bytes()
    middle = len(whole) // 2
    cached.write_bytes(
        {
            "truncated": whole[:middle],
            "changed": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            "empty": b"",
            "not a library": b"#!/bin/sh",
        }[damage]
    )
    assert values()[0]
    assert not caplog.text
    (again,) = cached.parent.iterdir()
    assert again.read_bytes() == whole


@pytest.mark.parametrize("fault", ["others can write", "a link", "another user's"])
def test_a_library_that_others_could_have_planted_is_not_loaded(cached, tmp_path, caplog, fault):
    folder = cached.parent
    if fault == "others can write":
        folder.chmod(0o777)
    elif fault == "a link":
        folder.rename(tmp_path / "elsewhere")
        folder.symlink_to(tmp_path / "elsewhere")
    elif os.getuid() == 0:
        os.chown(folder, 12345, -1)
    else:
        pytest.skip("only root can give a folder to another user")
    assert not values()[0]  # torch does the same
    assert "expected a folder of your own that nobody else can enter" in caplog.text
