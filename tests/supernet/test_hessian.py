import math

import pytest
import torch
from scipy.sparse.linalg import LinearOperator, eigsh

from supernet.hessian import hessian_product, largest_eigenvalue


def symmetric(size: int, generator: torch.Generator, shift: float = 0.0) -> torch.Tensor:
    matrix = torch.randn(size, size, generator=generator, dtype=torch.float64)
    return (matrix + matrix.T) / 2 + shift * torch.eye(size, dtype=torch.float64)


def test_the_product_is_that_with_the_dense_hessian(generator):
    parts = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((2, 3), (4,))]

    def loss(point):
        both = torch.cat([part.flatten() for part in point])
        return (both.exp().sum() * both.sin().sum()) + both.prod()

    flat = torch.cat([part.flatten() for part in parts])
    dense = torch.autograd.functional.hessian(lambda x: loss([x[:6].view(2, 3), x[6:]]), flat)
    product = hessian_product(loss, parts)
    for column in torch.eye(10, dtype=torch.float64):
        torch.testing.assert_close(product(column), dense @ column)


def test_an_input_that_the_loss_does_not_use_or_uses_linearly_has_no_curvature():
    used, linear, unused = (torch.ones(2, dtype=torch.float64) for _ in range(3))
    product = hessian_product(lambda point: point[0].square().sum() + point[1].sum(), [used, linear, unused])
    assert product(torch.ones(6, dtype=torch.float64)).tolist() == [2, 2, 0, 0, 0, 0]


@pytest.mark.parametrize("size", [1, 2, 7, 60])
@pytest.mark.parametrize("shift", [0.0, 50.0, -50.0])  # of all eigenvalues: mixed, all positive, all negative
def test_it_is_the_largest_eigenvalue_and_not_the_largest_absolute_one(size, shift, generator):
    matrix = symmetric(size, generator, shift)
    expected = float(torch.linalg.eigvalsh(matrix)[-1])
    assert largest_eigenvalue(matrix.mv, size, tolerance=0.0) == pytest.approx(expected, rel=1e-10)
    assert largest_eigenvalue(matrix.mv, size) == pytest.approx(expected, rel=1e-4)


def test_arpack_finds_the_same(generator):
    matrix = symmetric(100, generator)
    operator = LinearOperator((100, 100), matvec=lambda v: matrix.mv(torch.from_numpy(v).flatten()), dtype="float64")
    expected = float(eigsh(operator, k=1, which="LA", return_eigenvectors=False)[0])
    assert largest_eigenvalue(matrix.mv, 100, tolerance=1e-8) == pytest.approx(expected, rel=1e-10)


def test_a_tolerance_saves_products(generator):
    eigenvalues = torch.cat([torch.rand(223, generator=generator, dtype=torch.float64), torch.tensor([3.0])])
    basis, _ = torch.linalg.qr(symmetric(224, generator))
    matrix = basis @ eigenvalues.diag() @ basis.T
    products = []
    value = largest_eigenvalue(lambda v: (products.append(1), matrix @ v)[1], 224)
    assert value == pytest.approx(3.0, rel=1e-5)
    assert len(products) < 20


def test_a_matrix_of_low_rank_or_of_zeros_is_no_problem(generator):
    vector = torch.rand(40, generator=generator, dtype=torch.float64)
    assert largest_eigenvalue(lambda v: vector * (vector @ v), 40) == pytest.approx(float(vector @ vector))
    assert largest_eigenvalue(lambda v: -vector * (vector @ v), 40) == pytest.approx(0.0, abs=1e-10)
    assert largest_eigenvalue(torch.zeros_like, 40) == 0


def test_the_same_matrix_gives_the_same_bits_whatever_the_global_generator(generator):
    matrix = symmetric(50, generator)
    first = largest_eigenvalue(matrix.mv, 50)
    state = torch.random.get_rng_state()
    torch.manual_seed(99)
    assert largest_eigenvalue(matrix.mv, 50) == first
    torch.random.set_rng_state(state)
    largest_eigenvalue(matrix.mv, 50)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_what_is_not_a_number_is_told_and_raises_nothing():
    assert math.isnan(largest_eigenvalue(lambda v: v * torch.nan, 5))
    assert math.isnan(largest_eigenvalue(lambda v: v * torch.inf, 5))
