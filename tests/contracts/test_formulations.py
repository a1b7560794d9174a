"""What every formulation under ``conf/formulation`` promises."""

from __future__ import annotations

import pytest
import torch

from tests.contracts.configurations import build, names
from tests.problems import Quadratic

pytestmark = pytest.mark.parametrize("name", names("formulation"))


@pytest.fixture
def formulation(name):
    return build("formulation", name)


def test_gradients_fit_the_tensors_and_nothing_else_is_touched(formulation):
    q = Quadratic.random()
    before = [t.clone() for t in (q.w, q.alpha)]
    (alpha,), (w,) = formulation.joint_grads(q.problem(), q.train, q.valid)
    assert alpha.shape == q.alpha.shape
    assert w.shape == q.w.shape
    assert q.w.grad is None
    assert q.alpha.grad is None
    assert torch.equal(q.w, before[0])
    assert torch.equal(q.alpha, before[1])
    assert not alpha.requires_grad
    assert not w.requires_grad


def test_joint_gradients_are_the_separate_ones_at_the_same_point(formulation):
    q = Quadratic.random()
    (alpha,), (w,) = formulation.joint_grads(q.problem(), q.train, q.valid)
    torch.testing.assert_close(formulation.arch_grads(q.problem(), q.train, q.valid)[0], alpha)
    torch.testing.assert_close(formulation.weight_grads(q.problem(), q.train, q.valid)[0], w)


def test_the_weights_follow_the_training_loss(formulation):
    q = Quadratic.random()
    torch.testing.assert_close(formulation.weight_grads(q.problem(), q.train, q.valid)[0], q.d_w("train"))


def test_gradient_descent_on_alpha_and_weights_lowers_the_training_loss(formulation):
    q = Quadratic.random()
    before = q.residual(q.train[0]).square().sum()
    for _ in range(200):
        arch, weights = formulation.joint_grads(q.problem(lr=0.01), q.train, q.valid)
        with torch.no_grad():
            q.alpha.sub_(0.01 * arch[0])
            q.w.sub_(0.01 * weights[0])
    assert q.residual(q.train[0]).square().sum() < before
