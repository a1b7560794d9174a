"""Dirichlet mixing weights against `torch.distributions`, an independent reference, and against closed forms."""

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Dirichlet as Reference
from torch.distributions import kl_divergence
from torch.distributions.dirichlet import _Dirichlet_backward

from supernet.relaxations.dirichlet import Dirichlet, divergence

CPU = torch.device("cpu")
ALL = torch.ones(6, 5, dtype=torch.bool)


def seeded(**arguments) -> Dirichlet:
    relaxation = Dirichlet(**arguments)
    relaxation.seed(3, CPU)
    return relaxation


def test_concentrations_are_one_at_zero_and_stay_positive():
    alpha = torch.tensor([[0.0, 2.0, -1.0, -1000.0]])
    expected = torch.tensor([[1.0, 3.0, float(torch.e) ** -1, 1e-2]])
    torch.testing.assert_close(Dirichlet().concentration(alpha), expected)


def test_the_mean_is_the_normalised_concentration_and_samples_agree_with_it():
    alpha = torch.tensor([[0.5, -0.5, 0.0]])
    allowed = torch.ones(1, 3, dtype=torch.bool)
    relaxation = seeded()
    beta = F.elu(alpha) + 1
    torch.testing.assert_close(relaxation.mean(alpha, allowed), beta / beta.sum())
    draws = relaxation(alpha.expand(40_000, 3), allowed.expand(40_000, 3))
    assert (draws.mean(dim=0) - beta / beta.sum()).abs().max() < 6e-3
    variance = Reference(beta).variance
    assert (draws.var(dim=0) - variance).abs().max() < 3e-3


def test_the_gradient_of_a_sample_is_torchs_own_pathwise_gradient():
    alpha = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    relaxation = seeded()
    sample = relaxation(alpha, ALL)
    probe = torch.randn_like(sample)
    beta = relaxation.concentration(alpha)
    ours = torch.autograd.grad((sample * probe).sum(), alpha)[0]
    theirs = torch.autograd.grad(beta, alpha, _Dirichlet_backward(sample.detach(), beta.detach(), probe))[0]
    torch.testing.assert_close(ours, theirs)


def test_the_pathwise_gradient_has_the_right_expectation_and_keeps_the_sum():
    """E[dx_i / dbeta_i] = (B - beta_i) / B^2, and the derivatives of a sample's entries sum to zero."""
    beta = torch.tensor([1.5, 0.7, 2.0], dtype=torch.float64)
    alpha = torch.where(beta >= 1, beta - 1, beta.log()).expand(60_000, 3).clone().requires_grad_()
    allowed = torch.ones(60_000, 3, dtype=torch.bool)
    sample = seeded()(alpha, allowed)
    total = beta.sum()
    slope = torch.where(beta >= 1, torch.ones_like(beta), beta)  # d beta / d alpha
    for i in range(3):
        (gradient,) = torch.autograd.grad(sample[:, i].sum(), alpha, retain_graph=True)
        mean = (gradient / slope).mean(dim=0)
        assert mean[i] == pytest.approx(float((total - beta[i]) / total**2), abs=3e-3)
    (nothing,) = torch.autograd.grad(sample.sum(), alpha)
    assert nothing.abs().max() < 1e-9


def test_ruled_out_operations_have_no_weight_and_no_gradient_and_the_rest_is_a_dirichlet():
    alpha = torch.zeros(20_000, 4, requires_grad=True)
    allowed = torch.tensor([True, False, True, False]).expand(20_000, 4)
    sample = seeded()(alpha, allowed)
    assert sample[:, [1, 3]].abs().max() == 0
    torch.testing.assert_close(sample.sum(dim=1), torch.ones(20_000))
    assert float(sample[:, 0].mean()) == pytest.approx(0.5, abs=1e-2)
    assert float(sample[:, 0].var()) == pytest.approx(1 / 12, abs=3e-3)  # Dir(1, 1) is uniform
    (gradient,) = torch.autograd.grad(sample[:, 0].sum(), alpha)
    assert gradient[:, [1, 3]].abs().max() == 0
    assert gradient[:, 0].abs().mean() > 0


@pytest.mark.parametrize("scale", [-50.0, -5.0, 5.0, 50.0])
def test_extreme_alphas_give_finite_samples_and_gradients(scale):
    alpha = (scale * torch.rand(200, 5)).requires_grad_()
    sample = seeded()(alpha, torch.ones(200, 5, dtype=torch.bool))
    (gradient,) = torch.autograd.grad(sample.square().sum(), alpha)
    assert sample.isfinite().all()
    assert gradient.isfinite().all()
    torch.testing.assert_close(sample.sum(dim=1), torch.ones(200))


def test_the_kl_anchor_is_the_divergence_from_the_uniform_distribution():
    alpha = torch.randn(6, 5, dtype=torch.float64)
    relaxation = Dirichlet("kl", anchor_scale=0.5)
    beta = relaxation.concentration(alpha)
    expected = kl_divergence(Reference(beta), Reference(torch.ones_like(beta)))
    torch.testing.assert_close(divergence(beta, torch.ones_like(beta), ALL), expected)
    torch.testing.assert_close(relaxation.penalty(alpha, ALL), 0.5 * expected.sum())


def test_the_kl_anchor_counts_allowed_operations_only():
    beta = torch.rand(3, 4, dtype=torch.float64) + 0.5
    allowed = torch.tensor([[True] * 4, [True, True, False, False], [False] * 4])
    anchor = torch.rand(3, 4, dtype=torch.float64) + 0.5
    divergences = divergence(beta, anchor, allowed)
    pair = kl_divergence(Reference(beta[1, :2]), Reference(anchor[1, :2]))
    torch.testing.assert_close(divergences[1], pair)
    assert divergences[2] == 0


def test_the_l2_anchor_is_the_weight_decay_of_the_published_code():
    alpha = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(Dirichlet("l2", anchor_scale=1e-3).penalty(alpha, ALL), alpha)
    torch.testing.assert_close(gradient, 1e-3 * alpha.detach())
    assert Dirichlet.weight_decay == 0


def test_the_anchor_is_where_alpha_started():
    alpha, start = torch.randn(2, 6, 5, dtype=torch.float64)
    for name in ("l2", "kl"):
        relaxation = Dirichlet(name, anchor_scale=2.0)
        assert relaxation.penalty(start, ALL, start) == pytest.approx(0, abs=1e-12)
        assert relaxation.penalty(alpha, ALL, start) > 0
        zero = torch.zeros_like(alpha)
        torch.testing.assert_close(relaxation.penalty(alpha, ALL, zero), relaxation.penalty(alpha, ALL))
    torch.testing.assert_close(Dirichlet("l2", 2.0).penalty(alpha, ALL, start), (alpha - start).square().sum())
    beta, anchor = (Dirichlet().concentration(one) for one in (alpha, start))
    expected = 2.0 * kl_divergence(Reference(beta), Reference(anchor)).sum()
    torch.testing.assert_close(Dirichlet("kl", 2.0).penalty(alpha, ALL, start), expected)


@pytest.mark.parametrize("anchor", ["l2", "kl"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kept", [[0, 1, 2, 3, 4], [2, 4], [3]])
def test_the_anchor_never_falls_below_zero(anchor, dtype, kept):
    alpha = torch.randn(6, 5, dtype=dtype)
    allowed = torch.zeros(6, 5, dtype=torch.bool)
    allowed[:, kept] = True
    assert Dirichlet(anchor).penalty(alpha, allowed) >= 0
    assert Dirichlet(anchor).penalty(torch.zeros_like(alpha), allowed) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("arguments", [{"anchor": "l3"}, {"anchor_scale": -1.0}])
def test_arguments_that_make_no_sense_are_refused(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        Dirichlet(**arguments)
