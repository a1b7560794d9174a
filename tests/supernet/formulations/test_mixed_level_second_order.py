import pytest
import torch

from supernet.formulations.mixed_level import MixedLevel
from supernet.formulations.mixed_level_second_order import MixedLevelSecondOrder
from supernet.formulations.second_order import SecondOrder
from tests.problems import Curved, Quadratic, flat, unrolled_reference

WAYS = pytest.mark.parametrize("finite_differences", [False, True])
LAMBDAS = pytest.mark.parametrize(("train", "val"), [(1.0, 1.0), (0.1, 1.0), (1.0, 0.25), (0.0, 1.0), (1.0, 0.0)])


def settings(c: Curved, **options):
    return c.problem(momentum=0.9, weight_decay=0.1, buffers=c.buffers(), **options)


@WAYS
@LAMBDAS
def test_both_losses_count_with_their_weights_after_the_next_step(train, val, finite_differences):
    c = Curved.random()
    problem = settings(c, lr=0.2)
    expected = unrolled_reference(
        problem, c.train, lambda w, a: train * c.loss(w, a, c.train) + val * c.loss(w, a, c.valid)
    )
    found = MixedLevelSecondOrder(train, val, finite_differences).arch_grads(problem, c.train, c.valid)
    tolerance = 1e-3 if finite_differences else 1e-10
    torch.testing.assert_close(flat(found), flat(expected), rtol=tolerance, atol=tolerance)


@WAYS
def test_without_the_training_loss_it_is_second_order_bilevel(finite_differences):
    c = Curved.random()
    found = MixedLevelSecondOrder(0, 1, finite_differences).arch_grads(settings(c), c.train, c.valid)
    assert torch.equal(flat(found), flat(SecondOrder(finite_differences).arch_grads(settings(c), c.train, c.valid)))


@WAYS
@LAMBDAS
def test_without_a_learning_rate_it_is_the_first_order_mixed_level(train, val, finite_differences):
    c = Curved.random()
    found = MixedLevelSecondOrder(train, val, finite_differences).arch_grads(settings(c, lr=0.0), c.train, c.valid)
    assert torch.equal(flat(found), flat(MixedLevel(train, val).arch_grads(settings(c, lr=0.0), c.train, c.valid)))


@WAYS
def test_it_is_linear_in_the_weights_of_the_losses(finite_differences):
    q = Quadratic.random()
    train, val, both = (
        MixedLevelSecondOrder(*weights, finite_differences).arch_grads(q.problem(), q.train, q.valid)[0]
        for weights in ((1, 0), (0, 1), (0.3, 2))
    )
    torch.testing.assert_close(both, 0.3 * train + 2 * val, rtol=1e-10, atol=1e-10)


def test_one_difference_for_both_losses_agrees_with_the_published_two():
    c = Curved.random()
    found, train, val = (
        flat(MixedLevelSecondOrder(*weights, epsilon=1e-4).arch_grads(settings(c), c.train, c.valid))
        for weights in ((0.3, 2), (1, 0), (0, 1))
    )
    torch.testing.assert_close(found, 0.3 * train + 2 * val, rtol=1e-6, atol=1e-6)


def test_the_published_way_costs_five_passes_and_the_exact_one_three():
    q, calls = Quadratic.random(), []
    MixedLevelSecondOrder().arch_grads(q.problem(calls=calls), q.train, q.valid)
    assert calls == ["train:w", "train:w+alpha", "valid:w+alpha", "train:alpha", "train:alpha"]
    calls.clear()
    MixedLevelSecondOrder(finite_differences=False).arch_grads(q.problem(calls=calls), q.train, q.valid)
    assert calls == ["train:w+alpha", "train:w+alpha", "valid:w+alpha"]


def test_epsilon_is_the_length_of_the_difference():
    c = Curved.random()
    near, far = (MixedLevelSecondOrder(epsilon=e).arch_grads(c.problem(), c.train, c.valid) for e in (0.01, 1.0))
    assert not torch.allclose(flat(near), flat(far), rtol=1e-4)


@pytest.mark.parametrize(("train", "val"), [(-1, 1), (1, -1), (0, 0)])
def test_weights_that_make_no_sense_are_refused(train, val):
    with pytest.raises(ValueError, match="neither may be negative"):
        MixedLevelSecondOrder(train, val)
