import pytest
import torch

from supernet.formulations.base import Problem
from supernet.formulations.implicit import Implicit
from tests.problems import Curved, Quadratic, averaged, flat, implicit_reference

WAYS = pytest.mark.parametrize("finite_differences", [False, True])
GAMMA = 0.4  # times the squared spectrum below it lies between 0.4 and 0.9, so that ||I - gamma H|| = 0.6
CONTRACTION = 0.6


@pytest.fixture
def conditioned() -> Quadratic:
    return Quadratic.random(spectrum=torch.linspace(1.0, 1.5, 4))


def limit(q: Quadratic) -> torch.Tensor:
    """The exact implicit gradient at the current weights."""
    return q.d_alpha("valid") - q.mixed @ torch.linalg.solve(q.hessian, q.d_w("valid"))


@WAYS
def test_without_terms_it_is_a_step_of_second_order_that_does_not_move_the_weights(finite_differences):
    q = Quadratic.random()
    (found,) = Implicit(0, finite_differences).arch_grads(q.problem(lr=0.1), q.train, q.valid)
    expected = q.d_alpha("valid") - 0.1 * q.mixed @ q.d_w("valid")
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@WAYS
@pytest.mark.parametrize("terms", [1, 2, 5])
def test_on_a_quadratic_it_is_the_power_series_of_the_hessian(terms, finite_differences):
    q = Quadratic.random()
    contraction = torch.eye(4).double() - 0.1 * q.hessian
    series = sum(torch.linalg.matrix_power(contraction, k) for k in range(terms + 1))
    expected = q.d_alpha("valid") - 0.1 * q.mixed @ series @ q.d_w("valid")
    (found,) = Implicit(terms, finite_differences).arch_grads(q.problem(lr=0.1), q.train, q.valid)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@WAYS
def test_many_terms_give_the_exact_implicit_gradient(conditioned, finite_differences):
    q = conditioned
    (found,) = Implicit(80, finite_differences).arch_grads(q.problem(lr=GAMMA), q.train, q.valid)
    torch.testing.assert_close(found, limit(q), rtol=1e-9, atol=1e-9)


def test_at_the_optimal_weights_that_is_the_gradient_through_the_optimum(conditioned):
    q = conditioned
    with torch.no_grad():
        q.w.copy_(q.optimum(q.alpha))

    def composed(alpha):
        return q.problem().loss([q.optimum(alpha)], [alpha], q.valid)

    expected = torch.func.grad(composed)(q.alpha.detach())
    (found,) = Implicit(80).arch_grads(q.problem(lr=GAMMA), q.train, q.valid)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_the_error_of_a_truncated_series_falls_geometrically(conditioned):
    q = conditioned
    solution = torch.linalg.solve(q.hessian, q.d_w("valid"))
    errors = [
        (Implicit(terms).arch_grads(q.problem(lr=GAMMA), q.train, q.valid)[0] - limit(q)).norm() for terms in range(13)
    ]
    for terms, error in enumerate(errors):
        assert error <= CONTRACTION ** (terms + 1) * torch.linalg.matrix_norm(q.mixed, 2) * solution.norm()
    assert errors[0] > 0.1
    assert (errors[12] / errors[6]) ** (1 / 6) == pytest.approx(CONTRACTION, abs=0.02)  # the slowest direction remains


@WAYS
@pytest.mark.parametrize("terms", [0, 2])
def test_it_is_the_series_of_dense_second_derivatives_where_nothing_is_quadratic(terms, finite_differences):
    c = Curved.random()
    problem = c.problem(lr=0.2)
    found = Implicit(terms, finite_differences).arch_grads(problem, c.train, c.valid)
    tolerance = 1e-3 if finite_differences else 1e-10
    expected = implicit_reference(problem, c.train, c.valid, terms)
    torch.testing.assert_close(flat(found), expected, rtol=tolerance, atol=tolerance)


def test_finite_differences_converge_to_double_backward_with_the_square_of_epsilon():
    c = Curved.random()
    exact = flat(Implicit(3).arch_grads(c.problem(lr=0.2), c.train, c.valid))
    errors = [
        (flat(Implicit(3, True, epsilon).arch_grads(c.problem(lr=0.2), c.train, c.valid)) - exact).norm()
        for epsilon in (0.1, 0.01, 0.001)
    ]
    assert errors[0] > 1e-6
    assert errors[1] < errors[0] / 50
    assert errors[2] < errors[1] / 50


@WAYS
def test_several_draws_count_as_their_mean(finite_differences):
    c = Curved.random()
    problem = c.problem(lr=0.2, samples=2)
    found, expected, single = (
        flat(Implicit(2, finite_differences).arch_grads(p, c.train, c.valid))
        for p in (problem, averaged(problem), c.problem(lr=0.2))
    )
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)
    assert not torch.allclose(found, single)


@WAYS
def test_momentum_and_weight_decay_do_not_enter(finite_differences):
    c = Curved.random()
    formulation = Implicit(2, finite_differences)
    plain, decayed = (
        flat(formulation.arch_grads(c.problem(**options), c.train, c.valid))
        for options in ({}, {"momentum": 0.9, "weight_decay": 0.1, "buffers": c.buffers()})
    )
    assert torch.equal(plain, decayed)


def test_exact_products_share_one_pass_and_differences_take_two_for_each():
    q, calls = Quadratic.random(), []
    Implicit(terms=5).arch_grads(q.problem(calls=calls), q.train, q.valid)
    assert calls == ["valid:w+alpha", "train:w+alpha"]
    calls.clear()
    Implicit(terms=2, finite_differences=True).arch_grads(q.problem(calls=calls), q.train, q.valid)
    assert calls == ["valid:w+alpha", *["train:w"] * 4, *["train:alpha"] * 2]


@WAYS
def test_a_validation_loss_that_does_not_feel_the_weights_needs_no_correction(finite_differences):
    c = Curved.random()

    def loss(weights, arch, batch, sample=0):
        return c.loss(weights, arch, batch) if batch is c.train else arch[0].exp().sum()

    found = Implicit(2, finite_differences).arch_grads(Problem(c.weights, c.arch, loss, 0.1), c.train, c.valid)
    assert torch.equal(found[0], c.arch[0].exp())
    assert torch.equal(found[1], torch.zeros(3, dtype=torch.double))


@WAYS
def test_weights_that_the_training_loss_leaves_out_or_uses_linearly_do_no_harm(finite_differences):
    q = Quadratic.random()
    unused, linear = (torch.ones(2, dtype=torch.double, requires_grad=True) for _ in range(2))

    def loss(weights, arch, batch, sample=0):
        return q.problem().loss(weights[:1], arch, batch, sample) + weights[2].sum()

    formulation, problem = Implicit(2, finite_differences), Problem([q.w, unused, linear], [q.alpha], loss, lr=0.1)
    (found,), (expected,) = (formulation.arch_grads(p, q.train, q.valid) for p in (problem, q.problem(lr=0.1)))
    torch.testing.assert_close(found, expected)


@WAYS
def test_weights_and_alphas_are_never_written_to(finite_differences):
    c = Curved.random()
    tensors = [*c.weights, *c.arch]
    before = [(t.clone(), t._version) for t in tensors]
    found = Implicit(2, finite_differences).arch_grads(c.problem(), c.train, c.valid)
    for tensor, (value, version) in zip(tensors, before, strict=True):
        assert torch.equal(tensor, value)
        assert tensor._version == version
        assert tensor.grad is None
    assert not any(g.requires_grad for g in found)


@WAYS
def test_no_value_is_asked_of_the_device(finite_differences):
    c = Curved.random().to("meta")
    found = Implicit(2, finite_differences).arch_grads(c.problem(), c.train, c.valid)
    assert [g.shape for g in found] == [a.shape for a in c.arch]


def test_a_negative_number_of_terms_is_refused():
    with pytest.raises(ValueError, match="negative number of terms"):
        Implicit(terms=-1)
