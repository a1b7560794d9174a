import pytest
import torch

from supernet.formulations.first_order import FirstOrder
from supernet.formulations.second_order import SecondOrder
from tests.problems import Curved, Quadratic, flat, unrolled_reference

WAYS = pytest.mark.parametrize("finite_differences", [False, True])


@WAYS
def test_alpha_follows_the_validation_loss_after_the_next_step_of_the_weights(finite_differences):
    c = Curved.random()
    problem = c.problem(lr=0.2, momentum=0.9, weight_decay=0.1, buffers=c.buffers())
    expected = unrolled_reference(problem, c.train, lambda w, a: c.loss(w, a, c.valid))
    found = SecondOrder(finite_differences).arch_grads(problem, c.train, c.valid)
    tolerance = 1e-3 if finite_differences else 1e-10
    torch.testing.assert_close(flat(found), flat(expected), rtol=tolerance, atol=tolerance)


@WAYS
def test_without_a_learning_rate_it_is_first_order(finite_differences):
    c = Curved.random()
    problem = c.problem(lr=0.0, momentum=0.9, weight_decay=0.1, buffers=c.buffers())
    found = SecondOrder(finite_differences).arch_grads(problem, c.train, c.valid)
    assert torch.equal(flat(found), flat(FirstOrder().arch_grads(problem, c.train, c.valid)))


def test_two_draws_of_a_loss_that_differs_between_them_give_the_mean_where_the_draws_enter_linearly():
    q, shift = Quadratic.random(), torch.tensor([1.0, -2.0, 3.0, 0.0, 1.0]).double()
    plain = q.problem()

    def drawn(weights, arch, batch, sample):
        return plain.loss(weights, arch, (batch[0] + sample * shift, batch[1]))

    both = type(plain)(plain.weights, plain.arch, drawn, plain.lr, samples=2)
    one, two = (
        type(plain)(plain.weights, plain.arch, lambda w, a, b, _, s=s: drawn(w, a, b, s), plain.lr) for s in (0, 1)
    )
    for formulation in (SecondOrder(True), SecondOrder(False)):
        (found,), (first,), (second,) = (formulation.arch_grads(p, q.train, q.valid) for p in (both, one, two))
        torch.testing.assert_close(found, (first + second) / 2, rtol=1e-9, atol=1e-9)
        assert not torch.allclose(first, second)


def test_the_published_way_costs_four_passes_and_the_exact_one_two():
    q, calls = Quadratic.random(), []
    SecondOrder().arch_grads(q.problem(calls=calls), q.train, q.valid)
    assert calls == ["train:w", "valid:w+alpha", "train:alpha", "train:alpha"]
    calls.clear()
    SecondOrder(finite_differences=False).arch_grads(q.problem(calls=calls), q.train, q.valid)
    assert calls == ["train:w+alpha", "valid:w+alpha"]


def test_epsilon_is_the_length_of_the_difference():
    c = Curved.random()
    near, far = (SecondOrder(epsilon=e).arch_grads(c.problem(), c.train, c.valid) for e in (0.01, 1.0))
    assert not torch.allclose(flat(near), flat(far), rtol=1e-4)
    with pytest.raises(ValueError, match="must be positive"):
        SecondOrder(epsilon=0.0).arch_grads(c.problem(), c.train, c.valid)
