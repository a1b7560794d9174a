import itertools

import pytest
import torch

from supernet.formulations.base import Problem
from supernet.formulations.unrolled import unrolled
from tests.problems import Curved, Quadratic, averaged, flat, unrolled_reference

STEPS = [
    {"lr": 0.1},
    {"lr": 0.3, "weight_decay": 0.2},
    {"lr": 0.1, "momentum": 0.9},
    {"lr": 0.2, "momentum": 0.9, "weight_decay": 0.1, "buffers": True},
    {"lr": 0.2, "momentum": 0.0, "buffers": True},
]
WAYS = pytest.mark.parametrize("finite_differences", [False, True])


def curved(**options) -> tuple[Curved, Problem]:
    c = Curved.random()
    if options.pop("buffers", False):
        options["buffers"] = c.buffers()
    return c, c.problem(**options)


@WAYS
@pytest.mark.parametrize("step", STEPS)
def test_on_a_quadratic_it_is_the_closed_form_whatever_the_step_of_the_weights(step, finite_differences):
    q = Quadratic.random()
    buffer = torch.tensor([1.0, -2.0, 0.5, 3.0]).double()
    problem = q.problem(**{**step, "buffers": [buffer] if "buffers" in step else None})
    xi, momentum, decay = step["lr"], step.get("momentum", 0.0) * ("buffers" in step), step.get("weight_decay", 0.0)
    moved = (q.w - xi * (momentum * buffer + q.d_w("train") + decay * q.w)).detach()
    expected = q.d_alpha("valid", moved) - xi * q.mixed @ q.d_w("valid", moved)
    (found,) = unrolled(problem, q.train, [(1.0, q.valid)], finite_differences, 0.01)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@WAYS
@pytest.mark.parametrize("step", STEPS)
def test_it_is_the_derivative_of_the_outer_loss_composed_with_the_step(step, finite_differences):
    c, problem = curved(**step)
    expected = unrolled_reference(
        problem, c.train, lambda w, a: 0.5 * problem.value(w, a, c.train) + 2 * problem.value(w, a, c.valid)
    )
    found = unrolled(problem, c.train, [(0.5, c.train), (2.0, c.valid)], finite_differences, 0.01)
    tolerance = 1e-3 if finite_differences else 1e-10
    torch.testing.assert_close(flat(found), flat(expected), rtol=tolerance, atol=tolerance)


def test_finite_differences_converge_to_the_exact_gradient_with_the_square_of_epsilon():
    c, problem = curved(lr=0.2, weight_decay=0.1)
    exact = flat(unrolled(problem, c.train, [(1.0, c.valid)], False, 0.01))
    errors = [
        (flat(unrolled(problem, c.train, [(1.0, c.valid)], True, epsilon)) - exact).norm()
        for epsilon in (1.0, 0.1, 0.01, 0.001)
    ]
    assert errors[0] > 1e-4  # there is something to converge from
    for larger, smaller in itertools.pairwise(errors[1:]):
        assert smaller < larger / 50
    assert errors[-1] < 1e-7


@WAYS
def test_several_draws_count_as_their_mean(finite_differences):
    c, problem = curved(lr=0.2, momentum=0.9, buffers=True, samples=3)
    parts = [(0.5, c.train), (2.0, c.valid)]
    found = flat(unrolled(problem, c.train, parts, finite_differences, 0.01))
    expected = flat(unrolled(averaged(problem), c.train, parts, finite_differences, 0.01))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    assert not torch.allclose(found, flat(unrolled(c.problem(lr=0.2), c.train, parts, finite_differences, 0.01)))


@WAYS
def test_an_outer_loss_that_does_not_feel_the_weights_needs_no_correction(finite_differences):
    c = Curved.random()

    def loss(weights, arch, batch, sample=0):
        return c.loss(weights, arch, batch) if batch is c.train else arch[0].exp().sum()

    problem = Problem(c.weights, c.arch, loss, lr=0.1)
    found = unrolled(problem, c.train, [(1.0, c.valid)], finite_differences, 0.01)
    assert torch.equal(found[0], c.arch[0].exp())
    assert torch.equal(found[1], torch.zeros(3, dtype=torch.double))


@WAYS
def test_weights_that_the_training_loss_leaves_out_or_uses_linearly_do_no_harm(finite_differences):
    q = Quadratic.random()
    unused, linear = torch.ones(2, dtype=torch.double, requires_grad=True), q.w.detach().clone().requires_grad_()

    def loss(weights, arch, batch, sample=0):
        return q.problem().loss(weights[:1], arch, batch, sample) + weights[2].sum()

    problem = Problem([q.w, unused, linear], [q.alpha], loss, lr=0.1)
    parts = [(1.0, q.valid)]
    expected = unrolled(q.problem(lr=0.1), q.train, parts, False, 0.01)[0]
    torch.testing.assert_close(unrolled(problem, q.train, parts, finite_differences, 0.01)[0], expected)


@WAYS
def test_weights_alphas_and_momentum_are_never_written_to(finite_differences):
    c, problem = curved(lr=0.2, momentum=0.9, buffers=True)
    tensors = [*c.weights, *c.arch, *problem.buffers]
    before = [(t.clone(), t._version) for t in tensors]
    found = unrolled(problem, c.train, [(1.0, c.valid)], finite_differences, 0.01)
    for tensor, (value, version) in zip(tensors, before, strict=True):
        assert torch.equal(tensor, value)
        assert tensor._version == version
        assert tensor.grad is None
    assert not any(g.requires_grad for g in found)


@WAYS
def test_no_value_is_asked_of_the_device(finite_differences):
    c = Curved.random().to("meta")
    problem = c.problem(lr=0.2, momentum=0.9, weight_decay=0.1, buffers=c.buffers())
    found = unrolled(problem, c.train, [(1.0, c.valid)], finite_differences, 0.01)
    assert [g.shape for g in found] == [a.shape for a in c.arch]
