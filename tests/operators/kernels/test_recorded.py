"""Recordings leave out what has been computed already."""

import torch

from morlight.operators.kernels.recorded import recorded

U = torch.linspace(0.5, 2.0, 7, dtype=torch.float64)


def test_an_operation_on_the_same_numbers_is_recorded_once():
    scales = torch.tensor([2.0, 2.0], dtype=torch.float64)  # constants are the same by value

    def function(u):
        return (u / scales[0]).tanh() * (u / scales[1]).tanh() + (u / 3.0).tanh()

    recording = recorded(function, U)
    assert len(recording.operations) == 6  # two divisions, two tanh, a product and a sum
    assert torch.equal(recording(2 * U), function(2 * U))


def test_an_operation_is_recorded_again_where_its_arguments_have_changed():
    def function(u):
        total = u * 1.0
        first = total.exp()
        total += u
        return first + total.exp()

    recording = recorded(function, U)
    assert torch.equal(recording(3 * U), function(3 * U))
    assert not torch.equal(recording(3 * U), 2 * (3 * U).exp())


def test_results_of_the_same_operation_may_be_changed_apart():
    def function(u):
        first, second = u * 2.0, u * 2.0
        first += 1.0
        return first * second

    recording = recorded(function, U)
    assert torch.equal(recording(3 * U), function(3 * U))
