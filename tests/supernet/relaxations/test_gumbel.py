"""Gumbel-softmax samples against the distributions and the limits that their papers derive."""

import math

import pytest
import torch

from supernet.relaxations.gumbel import Gumbel

CPU = torch.device("cpu")
ALL = torch.ones(6, 5, dtype=torch.bool)
LOGITS = torch.tensor([0.8, -0.4, 0.0, -1.5], dtype=torch.float64)
MANY = 40_000


def sample(alpha, allowed, tau, hard=False, seed=3):
    relaxation = Gumbel(hard, tau_start=tau)
    relaxation.seed(seed, CPU)
    return relaxation(alpha, allowed)


@pytest.fixture
def alpha(generator):
    return torch.randn(6, 5, generator=generator, dtype=torch.float64).requires_grad_()


@pytest.fixture
def some(generator):
    """A table in which edges differ, one of them without any operation."""
    table = torch.rand(6, 5, generator=generator) < 0.6
    table[:, 2] = True
    table[4] = False
    return table


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("tau", [0.1, 1.0, 10.0])
def test_a_hard_sample_is_exactly_one_hot_where_the_soft_one_is_largest(dtype, tau, generator):
    alpha = (3 * torch.randn(5_000, 7, generator=generator, dtype=dtype)).requires_grad_()
    allowed = torch.rand(5_000, 7, generator=generator) < 0.6
    hard, soft = (sample(alpha, allowed, tau, hard=hard) for hard in (True, False))
    assert ((hard == 0) | (hard == 1)).all()
    assert torch.equal(hard.sum(dim=1), allowed.any(dim=1).to(dtype))
    rows = allowed.any(dim=1)
    assert torch.equal(hard[rows].argmax(dim=1), soft[rows].argmax(dim=1))


@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize("tau", [0.5, 10.0])
def test_the_gradient_is_the_jacobian_of_the_soft_sample_at_the_same_noise(hard, tau, alpha):
    """dy_i / dalpha_j = y_i (delta_ij - y_j) / tau, for every operation of the row."""
    y = sample(alpha, ALL, tau).detach()
    rows = torch.stack(
        [torch.autograd.grad(sample(alpha, ALL, tau, hard)[:, i].sum(), alpha)[0] for i in range(5)], dim=1
    )
    torch.testing.assert_close(rows, (torch.diag_embed(y) - y[:, :, None] * y[:, None, :]) / tau)
    assert (rows != 0).all()


def test_the_second_derivatives_of_a_hard_sample_are_those_of_the_soft_one(alpha):
    probe = torch.randn(6, 5, dtype=torch.float64)
    hessians = [
        torch.autograd.functional.hessian(
            lambda a, hard=hard: (sample(a, ALL, 2.0, hard) * probe).sum(), alpha.detach()
        )
        for hard in (True, False)
    ]
    assert hessians[1].abs().max() > 1e-3
    torch.testing.assert_close(*hessians)


def test_soft_samples_agree_with_finite_differences_twice(alpha, some):
    assert torch.autograd.gradcheck(lambda a: sample(a, some, 0.7), (alpha,))
    assert torch.autograd.gradgradcheck(lambda a: sample(a, some, 0.7), (alpha,))


@pytest.mark.parametrize("tau", [0.1, 10.0])
def test_hard_choices_have_the_probabilities_of_the_softmax_at_every_temperature(tau):
    alpha, allowed = LOGITS.expand(MANY, 4), torch.tensor([True, True, False, True]).expand(MANY, 4)
    frequencies = sample(alpha, allowed, tau, hard=True).mean(dim=0)
    expected = Gumbel().mean(alpha[:1], allowed[:1])[0]
    torch.testing.assert_close(expected, LOGITS.masked_fill(~allowed[0], -math.inf).softmax(dim=0))
    assert (frequencies - expected).abs().max() < 4 * 0.5 / math.sqrt(MANY)  # four standard deviations
    assert frequencies[2] == 0


def test_the_log_ratio_of_two_soft_weights_is_logistic_around_the_difference_of_their_alphas():
    """tau (log y_0 - log y_1) - (alpha_0 - alpha_1) = g_0 - g_1, and two Gumbels differ by a logistic variable."""
    y = sample(LOGITS.expand(MANY, 4), ALL[:1, :4].expand(MANY, 4), tau=1.7)
    difference = 1.7 * (y[:, 0].log() - y[:, 1].log()) - (LOGITS[0] - LOGITS[1])
    for quantile in (0.05, 0.25, 0.5, 0.75, 0.95):
        below = (difference < math.log(quantile / (1 - quantile))).double().mean()
        assert float(below) == pytest.approx(quantile, abs=4 * 0.5 / math.sqrt(MANY))


def test_the_mean_of_soft_samples_is_the_closed_form_for_two_operations():
    """At tau = 1, y_0 = r u / (1 + (r - 1) u) with u uniform and r = exp(alpha_0 - alpha_1): not the softmax."""
    pair = torch.ones(MANY, 2, dtype=torch.bool)
    flat = sample(torch.zeros(MANY, 2), pair, tau=1.0)[:, 0]  # r = 1: uniform on [0, 1]
    assert float(flat.mean()) == pytest.approx(1 / 2, abs=6e-3)
    assert float(flat.var()) == pytest.approx(1 / 12, abs=2e-3)
    r = 3.0
    mean = sample(torch.tensor([math.log(r), 0.0]).expand(MANY, 2), pair, tau=1.0)[:, 0].mean()
    assert float(mean) == pytest.approx(r / (r - 1) - r * math.log(r) / (r - 1) ** 2, abs=6e-3)


def test_a_soft_sample_goes_to_the_hard_choice_for_low_and_to_uniform_for_high_temperature(alpha, some):
    torch.testing.assert_close(sample(alpha, some, 1e-5), sample(alpha, some, 1.0, hard=True))
    uniform = some / some.sum(dim=1, keepdim=True).clamp_min(1).double()
    torch.testing.assert_close(sample(alpha, some, 1e6), uniform, atol=1e-5, rtol=0)


def test_a_much_larger_alpha_is_always_chosen(alpha):
    assert torch.equal(sample(1e4 * alpha, ALL, 1.0, hard=True).argmax(dim=1), alpha.argmax(dim=1))


@pytest.mark.parametrize("value", [0.0, 1e-30, 100.0])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_no_draw_and_no_precision_gives_anything_infinite(value, dtype, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "exponential_", lambda self, generator=None: self.fill_(value))
    alpha = torch.linspace(-50, 50, 30).reshape(6, 5).to(dtype).requires_grad_()
    for hard in (True, False):
        y = sample(alpha, ALL, 0.1, hard)
        (gradient,) = torch.autograd.grad(y.square().sum(), alpha)
        assert y.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        assert y.isfinite().all()
        assert gradient.isfinite().all()


def test_only_a_hard_sample_is_sparse():
    assert Gumbel(hard=True).sparse
    assert not Gumbel(hard=False).sparse


def test_the_temperature_falls_linearly_and_acts():
    relaxation = Gumbel(hard=False, tau_start=10.0, tau_end=0.1)
    largest = []
    for progress, tau in ((0.0, 10.0), (0.25, 7.525), (1.0, 0.1)):
        relaxation.anneal(progress)
        relaxation.seed(3, CPU)
        assert relaxation.tau == pytest.approx(tau)
        largest.append(relaxation(torch.zeros(6, 5), ALL).max(dim=1).values.mean())
    assert largest == sorted(largest)
    assert largest[0] < 0.3 < 0.9 < largest[-1]


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan])
@pytest.mark.parametrize("argument", ["tau_start", "tau_end"])
def test_a_temperature_that_is_not_positive_is_refused(argument, value):
    with pytest.raises(ValueError, match=argument):
        Gumbel(**{argument: value})
