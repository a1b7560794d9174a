import math

import pytest
import torch

from supernet.relaxations.sigmoid import Sigmoid

ALL = torch.ones(6, 5, dtype=torch.bool)


@pytest.fixture
def alpha(generator):
    return torch.randn(6, 5, generator=generator, dtype=torch.float64)


def test_it_is_the_sigmoid_of_each_allowed_alpha():
    alpha = torch.tensor([[0.0, math.log(3.0), -math.log(3.0), 2.0]])
    allowed = torch.tensor([[True, True, True, False]])
    expected = torch.tensor([[0.5, 0.75, 0.25, 0.0]])
    torch.testing.assert_close(Sigmoid()(alpha, allowed), expected)
    torch.testing.assert_close(Sigmoid().mean(alpha, allowed), expected)


def test_operations_do_not_compete(alpha):
    """The Jacobian is diagonal, ``p (1 - p)``."""
    jacobian = torch.autograd.functional.jacobian(lambda a: Sigmoid()(a, ALL), alpha).reshape(30, 30)
    p = 1 / (1 + (-alpha).exp())
    torch.testing.assert_close(jacobian, torch.diag((p * (1 - p)).flatten()))


def test_the_penalty_and_its_gradient_are_the_closed_forms(alpha):
    """``-w mean (p - 1/2)^2`` over the allowed operations, and ``-2 w (p - 1/2) p (1 - p) / n``."""
    alpha.requires_grad_()
    allowed = ALL.clone()
    allowed[0, 1:] = allowed[3] = False
    penalty = Sigmoid(zero_one_weight=7.0).penalty(alpha, allowed)
    p = (1 / (1 + (-alpha).exp())).detach()
    torch.testing.assert_close(penalty, -7.0 * (p[allowed] - 0.5).square().mean())
    (gradient,) = torch.autograd.grad(penalty, alpha)
    torch.testing.assert_close(gradient, -2 * 7.0 * (p - 0.5) * p * (1 - p) / 21 * allowed)


def test_the_penalty_lies_between_that_of_decided_gates_and_zero_and_pushes_gates_apart(alpha):
    relaxation = Sigmoid()
    assert relaxation.zero_one_weight == 10
    assert -2.5 < relaxation.penalty(alpha, ALL) < 0
    assert float(relaxation.penalty(100 * alpha.sign(), ALL)) == pytest.approx(-2.5)
    alpha.requires_grad_()
    (gradient,) = torch.autograd.grad(relaxation.penalty(alpha, ALL), alpha)
    assert torch.equal(gradient.sign(), -alpha.sign())  # a descent step moves every gate away from 1/2


def test_the_penalty_of_a_table_without_operations_is_zero(alpha):
    assert Sigmoid().penalty(alpha, ~ALL) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_inverse_is_the_logit_and_finite_for_open_and_shut_gates(dtype):
    weights = torch.tensor([[0.0, 0.25, 0.9, 1.0]], dtype=dtype)
    alpha = Sigmoid().inverse(weights)
    assert alpha.isfinite().all()
    torch.testing.assert_close(alpha[0, 1:3], torch.tensor([-math.log(3.0), math.log(9.0)], dtype=dtype))
    torch.testing.assert_close(Sigmoid().mean(alpha, ALL[:1, :4]), weights, atol=1e-6, rtol=0)


@pytest.mark.parametrize("value", [-1.0, math.nan])
def test_a_negative_weight_is_refused(value):
    with pytest.raises(ValueError, match="zero_one_weight"):
        Sigmoid(zero_one_weight=value)
