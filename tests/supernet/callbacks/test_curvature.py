import copy

import pytest
import torch
import torch.nn.functional as F

from supernet.callbacks.curvature import curvature, validation_loss
from supernet.hessian import hessian_product
from supernet.relaxations.dirichlet import Dirichlet
from supernet.relaxations.gumbel import Gumbel
from supernet.relaxations.sigmoid import Sigmoid
from supernet.relaxations.softmax import Softmax
from tests.supernet.searches import SPACE, TWO_CELLS, module, random_batches, steps


def trained(relaxation=None, **arguments):
    """A supernet after a few steps, in float64, and two batches of images."""
    search = module(relaxation, **arguments).double()
    steps(search, random_batches(3))
    search._trainer = None
    return search, [batch["valid"] for batch in random_batches(2)]


def dense(search, batches):
    """All second derivatives, by torch, of a loss that is written down once more."""
    search = copy.deepcopy(search)
    alphas = search.alphas.tensors()

    def loss(flat):
        parts = flat.split([alpha.numel() for alpha in alphas])
        mixture = search.alphas.expected([part.view_as(alpha) for part, alpha in zip(parts, alphas, strict=True)])
        logits = [search.network.train()(x, mixture.weights, mixture.edges) for x, _ in batches]
        return torch.stack([F.cross_entropy(z, y) for z, (_, y) in zip(logits, batches, strict=True)]).mean()

    return torch.autograd.functional.hessian(loss, torch.cat([alpha.detach().flatten() for alpha in alphas]))


@pytest.mark.parametrize(("relaxation", "count"), [
    (Softmax(), 1), (Softmax(), 2), (Dirichlet(), 1), (Sigmoid(), 1), (Gumbel(), 1),
])  # fmt: skip
def test_it_is_the_largest_eigenvalue_of_the_dense_hessian_of_a_real_supernet(relaxation, count):
    search, batches = trained(relaxation)
    hessian = dense(search, batches[:count])
    expected = float(torch.linalg.eigvalsh(hessian)[-1])
    assert expected > 1e-6
    assert curvature(search, batches[:count], tolerance=0.0) == pytest.approx(expected, rel=1e-6)
    assert curvature(search, batches[:count]) == pytest.approx(expected, rel=1e-3)


def test_all_cell_types_and_betas_are_variables():
    search, batches = trained(space=TWO_CELLS, edge_normalization=True, partial_channels=2)
    product = hessian_product(validation_loss(search, batches[0]), search.alphas.tensors())
    size = 2 * (14 * 8 + 14)
    vector = torch.randn(size, dtype=torch.float64)
    expected = torch.zeros(size, dtype=torch.float64)
    step = 1e-5
    for sign in (1, -1):  # a central difference of the gradient
        moved = torch.split(sign * step * vector, [p.numel() for p in search.alphas.tensors()])
        alphas = [
            (p + m.view_as(p)).detach().requires_grad_() for p, m in zip(search.alphas.tensors(), moved, strict=True)
        ]
        grads = torch.autograd.grad(validation_loss(search, batches[0])(alphas), alphas)
        expected += sign * torch.cat([g.flatten() for g in grads]) / (2 * step)
    assert expected.view(2, -1).abs().sum(dim=1).min() > 0
    torch.testing.assert_close(product(vector), expected, rtol=1e-3, atol=1e-7)


def test_a_shift_of_all_alphas_of_an_edge_has_no_curvature_under_a_softmax():
    search, batches = trained()
    product = hessian_product(validation_loss(search, batches[0]), search.alphas.tensors())
    shift = torch.zeros(6, 5, dtype=torch.float64)
    shift[2] = 1
    assert product(shift.flatten()).abs().max() < 1e-12


def test_nothing_is_left_behind():
    search, batches = trained()
    before = {name: tensor.clone() for name, tensor in search.state_dict().items()}
    curvature(search, batches)
    assert all(torch.equal(tensor, before[name]) for name, tensor in search.state_dict().items())
    assert all(p.requires_grad for p in search.parameters())
    assert all(layer.track_running_stats for layer in search._norms)


def test_operations_that_were_ruled_out_have_no_curvature():
    search, batches = trained()
    allowed = {"cell": SPACE.allowed["cell"].clone()}
    allowed["cell"][:, 3:] = False
    search.rebuild(SPACE.restrict(allowed))
    search.double()
    product = hessian_product(validation_loss(search, batches[0]), search.alphas.tensors())
    out = ~allowed["cell"].flatten()
    assert product(out.double()).abs().max() == 0
    assert curvature(search, batches[:1]) == pytest.approx(
        float(torch.linalg.eigvalsh(dense(search, batches[:1]))[-1]), rel=1e-3
    )
