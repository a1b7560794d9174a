import pytest
import torch

from supernet.gradients import detached, directional, grad, leaves, neumann, norm, vjp


def test_an_input_that_does_not_matter_has_a_zero_gradient():
    used, unused = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    gradients = grad((used**2).sum(), [used, unused])
    assert torch.equal(gradients[0], torch.full((2,), 2.0))
    assert torch.equal(gradients[1], torch.zeros(3))


def test_the_norm_is_that_of_all_tensors_together():
    assert norm([torch.tensor([3.0]), torch.tensor([[4.0]])]) == 5.0


def test_detached_shares_values_and_asks_for_nothing():
    w = torch.ones(2, requires_grad=True)
    (copy,) = detached([w])
    assert copy.data_ptr() == w.data_ptr()
    assert not copy.requires_grad


def test_leaves_share_values_and_ask_for_a_gradient_of_their_own():
    w = torch.ones(2, requires_grad=True)
    (leaf,) = leaves([w * 1])
    assert leaf.is_leaf
    assert leaf.requires_grad
    assert leaf.data_ptr() != w.data_ptr()
    assert leaves([w])[0].data_ptr() == w.data_ptr()
    assert leaves([w])[0] is not w


def test_the_product_of_a_vector_with_the_graph_of_a_gradient_is_that_with_the_hessian():
    w, u = (
        torch.randn(3, dtype=torch.double, requires_grad=True),
        torch.randn(2, dtype=torch.double, requires_grad=True),
    )
    hessian = torch.autograd.functional.hessian(lambda w, u: (w**3).sum() * u.prod(), (w, u))
    d = grad((w**3).sum() * u.prod(), [w, u], create_graph=True)
    v = [torch.randn(3, dtype=torch.double), torch.randn(2, dtype=torch.double)]
    for _ in range(2):  # the graph is kept where that is asked for
        along = vjp(d, [w, u], v, retain_graph=True)
        torch.testing.assert_close(along[0], hessian[0][0] @ v[0] + hessian[0][1] @ v[1])
        torch.testing.assert_close(along[1], hessian[1][0] @ v[0] + hessian[1][1] @ v[1])


def test_gradients_of_unused_weights_and_of_weights_in_a_linear_term_are_constants():
    used, unused, linear = (torch.full((2,), 3.0, requires_grad=True) for _ in range(3))
    inputs = [unused, used, linear]
    d = grad((used**2).sum() + linear.sum(), inputs, create_graph=True)
    ones = [torch.ones(2)] * 3
    assert [v.tolist() for v in vjp(d, inputs, ones)] == [[0, 0], [2, 2], [0, 0]]
    d = grad(linear.sum(), inputs, create_graph=True)
    assert [v.tolist() for v in vjp(d, inputs, ones)] == [[0, 0]] * 3


def test_a_central_difference_is_exact_for_a_quadratic_and_its_error_falls_with_the_square_of_epsilon():
    x, v = [torch.tensor([1.0, 2.0]).double()], [torch.tensor([3.0, 4.0]).double()]
    (square,) = directional(lambda p: [p[0] ** 2], x, v, epsilon=0.5)
    torch.testing.assert_close(square, 2 * x[0] * v[0])
    errors = [directional(lambda p: [p[0] ** 3], x, v, e)[0] - 3 * x[0] ** 2 * v[0] for e in (0.1, 0.01)]
    torch.testing.assert_close(errors[0], errors[1] * 100, rtol=1e-6, atol=0)


def test_the_step_of_a_difference_has_the_length_epsilon_over_all_tensors_together():
    x, v, seen = [torch.zeros(2), torch.zeros(1)], [torch.tensor([0.0, 300.0]), torch.tensor([400.0])], []
    directional(lambda p: seen.append(p) or p, x, v, epsilon=0.01)
    ahead, behind = seen
    torch.testing.assert_close(norm(ahead), torch.tensor(0.01))
    assert all(torch.equal(a, -b) for a, b in zip(ahead, behind, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_along_no_direction_nothing_changes(dtype):
    (along,) = directional(lambda p: [p[0].exp()], [torch.randn(3, dtype=dtype)], [torch.zeros(3, dtype=dtype)], 0.01)
    assert torch.equal(along, torch.zeros(3, dtype=dtype))


@pytest.mark.parametrize("epsilon", [0.0, -0.01])
def test_a_difference_over_no_distance_is_refused(epsilon):
    with pytest.raises(ValueError, match="must be positive"):
        directional(lambda p: p, [torch.ones(1)], [torch.ones(1)], epsilon)


def test_the_neumann_series_is_the_sum_of_powers_and_tends_to_the_inverse():
    h, v = torch.diag(torch.tensor([0.5, 1.0, 1.5])).double(), torch.ones(3).double()
    contraction = torch.eye(3).double() - 0.8 * h
    for terms in (0, 1, 4):
        (total,) = neumann(lambda p: [h @ p[0]], [v], 0.8, terms)
        torch.testing.assert_close(total, sum(torch.linalg.matrix_power(contraction, k) for k in range(terms + 1)) @ v)
    torch.testing.assert_close(0.8 * neumann(lambda p: [h @ p[0]], [v], 0.8, 100)[0], torch.linalg.solve(h, v))
