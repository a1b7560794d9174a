"""What every relaxation under ``conf/relaxation`` promises."""

from __future__ import annotations

import pytest
import torch

from tests.contracts.configurations import build, names

CPU = torch.device("cpu")
ALL = torch.ones(6, 5, dtype=torch.bool)
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
    weights = relaxation(alpha, allowed)
    assert weights.requires_grad == relaxation.learns
    if not relaxation.learns:
        return
    (gradient,) = torch.autograd.grad((weights * probe).sum(), alpha)
    assert gradient.isfinite().all()
    assert gradient[~allowed].abs().sum() == 0
    contested = allowed & (allowed.sum(dim=1, keepdim=True) > 1)
    assert (gradient[contested] != 0).any() or not contested.any()


def test_an_edge_without_operations_is_zero_and_not_nan(relaxation, alpha):
    allowed = torch.ones(6, 5, dtype=torch.bool)
    allowed[1] = False
    weights = relaxation(alpha, allowed)
    value = weights.square().sum() + relaxation.penalty(alpha, allowed)
    assert weights[1].tolist() == relaxation.mean(alpha, allowed)[1].tolist() == [0] * 5
    assert value.isfinite()
    if relaxation.learns:
        (gradient,) = torch.autograd.grad(value, alpha)
        assert gradient.isfinite().all()


def test_equal_seeds_give_equal_samples_and_the_mean_is_deterministic(relaxation, alpha, allowed):
    torch.manual_seed(1)
    relaxation.seed(11, CPU)
    first, mean = relaxation(alpha, allowed), relaxation.mean(alpha, allowed)
    torch.manual_seed(2)  # the global generator must not matter
    relaxation.seed(11, CPU)
    assert torch.equal(relaxation(alpha, allowed), first)
    assert torch.equal(relaxation.mean(alpha, allowed), mean)


def test_a_seed_and_the_number_of_the_sample_fix_the_draw(relaxation, alpha):
    def draw(seed, sample):
        relaxation.seed(seed, CPU, sample)
        return relaxation(alpha, ALL).detach()

    draws = [draw(11, sample) for sample in range(4)]
    again = [draw(11, sample) for sample in reversed(range(4))][::-1]
    assert all(torch.equal(a, b) for a, b in zip(draws, again, strict=True))
    deterministic = torch.equal(draws[0], relaxation.mean(alpha, ALL))
    assert len({tuple(d.flatten().tolist()) for d in draws}) == (1 if deterministic else 4)
    assert torch.equal(draw(12, 0), draws[0]) == deterministic


def test_a_step_averages_over_at_least_one_sample(relaxation, allowed):
    assert relaxation.samples({"normal": allowed, "reduce": torch.zeros_like(allowed)}) >= 1


def test_a_sparse_sample_is_exactly_one_hot_and_any_other_uses_all_allowed_operations(relaxation, alpha, allowed):
    allowed = allowed.clone()
    allowed[0] = False
    for seed in range(20):
        relaxation.seed(seed, CPU)
        weights = relaxation(alpha, allowed).detach()
        if relaxation.sparse:
            assert torch.equal((weights != 0).sum(dim=1), allowed.any(dim=1).long())
            assert (weights[weights != 0] == 1).all()
        else:
            assert torch.equal(weights != 0, allowed)


def test_a_larger_alpha_never_has_a_smaller_mean_weight(relaxation, alpha):
    mean = relaxation.mean(alpha, ALL)
    if relaxation.learns:
        assert torch.equal(mean.argsort(dim=1), alpha.argsort(dim=1))
    else:
        assert torch.equal(mean, relaxation.mean(-alpha, ALL))


def test_inverse_gives_an_alpha_with_that_mean_mixture(relaxation, generator):
    weights = torch.rand(6, 5, generator=generator, dtype=torch.float64) + 0.1
    weights /= weights.sum(dim=1, keepdim=True)
    inverse = relaxation.inverse(weights)
    assert inverse.shape == weights.shape
    assert inverse.dtype == weights.dtype
    if relaxation.learns:
        torch.testing.assert_close(relaxation.mean(inverse, ALL), weights)
    if relaxation.rows_sum_to_one:
        uniform = relaxation.inverse(torch.full((6, 5), 0.2, dtype=torch.float64))
        torch.testing.assert_close(uniform, torch.zeros(6, 5, dtype=torch.float64))


def test_the_penalty_is_a_finite_scalar_with_a_finite_gradient_and_zero_at_the_start(relaxation, alpha, allowed):
    penalty = relaxation.penalty(alpha, allowed)
    assert penalty.shape == ()
    assert penalty.isfinite()
    if penalty.requires_grad:
        assert torch.autograd.grad(penalty, alpha)[0].isfinite().all()
    assert relaxation.penalty(torch.zeros_like(alpha), allowed) == pytest.approx(0, abs=1e-6)


def test_annealing_accepts_the_whole_search(relaxation, alpha, allowed):
    for progress in (0.0, 0.5, 1.0):
        relaxation.anneal(progress)
        assert relaxation(alpha, allowed).isfinite().all()
