"""What every relaxation under ``conf/relaxation`` promises."""

from __future__ import annotations

import pytest
import torch

from tests.contracts.configurations import build, names

CPU = torch.device("cpu")
pytestmark = pytest.mark.parametrize("name", names("relaxation"))


@pytest.fixture
def relaxation(name):
    relaxation = build("relaxation", name)
    relaxation.seed(5, CPU)
    return relaxation


@pytest.fixture(params=["everything", "some", "one"])
def allowed(request, generator):
    table = torch.ones(6, 5, dtype=torch.bool)
    if request.param == "some":
        table = torch.rand(6, 5, generator=generator) < 0.6
        table[:, 2] = True
    if request.param == "one":
        table = torch.zeros(6, 5, dtype=torch.bool)
        table[:, 3] = True
    return table


@pytest.fixture(params=[torch.float32, torch.float64])
def alpha(request, generator):
    return torch.randn(6, 5, generator=generator, dtype=request.param).requires_grad_()


def test_weights_are_zero_where_not_allowed_and_rows_sum_to_one(relaxation, alpha, allowed):
    for weights in (relaxation(alpha, allowed), relaxation.mean(alpha, allowed)):
        assert weights.shape == alpha.shape
        assert weights.dtype == alpha.dtype
        assert weights[~allowed].abs().sum() == 0
        assert (weights >= 0).all()
        if relaxation.rows_sum_to_one:
            torch.testing.assert_close(weights.sum(dim=1), torch.ones(6, dtype=alpha.dtype))


def test_gradients_reach_allowed_alphas_only_and_are_finite(relaxation, alpha, allowed):
    probe = torch.randn(6, 5, dtype=alpha.dtype)
    (gradient,) = torch.autograd.grad((relaxation(alpha, allowed) * probe).sum(), alpha)
    assert gradient.isfinite().all()
    assert gradient[~allowed].abs().sum() == 0
    contested = allowed & (allowed.sum(dim=1, keepdim=True) > 1)
    assert (gradient[contested] != 0).any() or not contested.any()


def test_an_edge_without_operations_is_zero_and_not_nan(relaxation, alpha):
    allowed = torch.ones(6, 5, dtype=torch.bool)
    allowed[1] = False
    weights = relaxation(alpha, allowed)
    (gradient,) = torch.autograd.grad(weights.square().sum() + relaxation.penalty(alpha, allowed), alpha)
    assert weights[1].tolist() == relaxation.mean(alpha, allowed)[1].tolist() == [0] * 5
    assert gradient.isfinite().all()


def test_equal_seeds_give_equal_samples_and_the_mean_is_deterministic(relaxation, alpha, allowed):
    torch.manual_seed(1)
    relaxation.seed(11, CPU)
    first, mean = relaxation(alpha, allowed), relaxation.mean(alpha, allowed)
    torch.manual_seed(2)  # the global generator must not matter
    relaxation.seed(11, CPU)
    assert torch.equal(relaxation(alpha, allowed), first)
    assert torch.equal(relaxation.mean(alpha, allowed), mean)


def test_a_larger_alpha_never_has_a_smaller_mean_weight(relaxation, alpha):
    mean = relaxation.mean(alpha, torch.ones(6, 5, dtype=torch.bool))
    assert torch.equal(mean.argsort(dim=1), alpha.argsort(dim=1))


def test_inverse_gives_an_alpha_with_that_mean_mixture(relaxation, generator):
    everything = torch.ones(6, 5, dtype=torch.bool)
    weights = torch.rand(6, 5, generator=generator, dtype=torch.float64) + 0.1
    weights /= weights.sum(dim=1, keepdim=True)
    torch.testing.assert_close(relaxation.mean(relaxation.inverse(weights), everything), weights)
    uniform = relaxation.inverse(torch.full((6, 5), 0.2, dtype=torch.float64))
    torch.testing.assert_close(uniform, torch.zeros(6, 5, dtype=torch.float64))


def test_the_penalty_is_a_scalar_that_does_not_fall_below_zero(relaxation, alpha, allowed):
    penalty = relaxation.penalty(alpha, allowed)
    assert penalty.shape == ()
    assert penalty >= 0
    assert relaxation.penalty(torch.zeros_like(alpha), allowed) == pytest.approx(0, abs=1e-6)


def test_annealing_accepts_the_whole_search(relaxation, alpha, allowed):
    for progress in (0.0, 0.5, 1.0):
        relaxation.anneal(progress)
        assert relaxation(alpha, allowed).isfinite().all()
