"""Any relaxation runs with any formulation, with partial channels and edge normalisation, on a real supernet."""

import pytest
import torch

from tests.contracts.configurations import build, names
from tests.supernet.searches import SPACE, TWO_CELLS, module, random_batches, steps

every_formulation = pytest.mark.parametrize("formulation", names("formulation"))


@every_formulation
@pytest.mark.parametrize("relaxation", names("relaxation"))
@pytest.mark.parametrize("modified", [False, True])
def test_a_step_moves_alphas_and_weights_and_everything_stays_finite(formulation, relaxation, modified):
    search = module(
        build("relaxation", relaxation),
        build("formulation", formulation),
        partial_channels=2 if modified else 1,
        edge_normalization=modified,
    )
    before = {name: p.clone() for name, p in search.named_parameters()}
    steps(search, random_batches(2, torch.float32))
    after = dict(search.named_parameters())
    assert all(p.isfinite().all() for p in after.values())
    assert not torch.equal(after["network.stem.0.weight"], before["network.stem.0.weight"])
    assert torch.equal(after["alphas.alpha.cell"], before["alphas.alpha.cell"]) != search.relaxation.learns
    if modified:
        assert not torch.equal(after["alphas.beta.cell"], before["alphas.beta.cell"])


@every_formulation
@pytest.mark.parametrize("relaxation", ["softmax", "dirichlet", "gumbel"])
def test_strides_two_cell_types_and_concatenation_work_too(formulation, relaxation):
    search = module(build("relaxation", relaxation), build("formulation", formulation), space=TWO_CELLS)
    before = {cell: alpha.clone() for cell, alpha in search.alphas.alpha.items()}
    steps(search, random_batches(1, torch.float32))
    for cell, alpha in search.alphas.alpha.items():
        assert alpha.isfinite().all()
        assert not torch.equal(alpha, before[cell])


@pytest.mark.parametrize("formulation", ["first_order", "single_level", "mixed_level", "second_order_exact"])
@pytest.mark.parametrize("relaxation", ["softmax", "gumbel_soft", "sigmoid"])
def test_the_gradient_of_the_alphas_is_the_slope_of_what_the_formulation_promises(formulation, relaxation):
    """Finite differences in float64, on a real supernet, along a random direction of alpha."""
    search = module(build("relaxation", relaxation), build("formulation", formulation), space=SPACE).double()
    (batch,) = random_batches(1)
    train, valid = batch["train"], batch["valid"]
    optimizers = steps(search, [batch])
    problem, _ = search._problems(optimizers[0], train, 0, {})
    alphas = [a.detach() for a in problem.arch]
    direction = [torch.randn_like(a) for a in alphas]

    def objective(shift: float) -> float:
        arch = [(a + shift * d).requires_grad_() for a, d in zip(alphas, direction, strict=True)]
        if formulation == "second_order_exact":
            weights = [w.detach().requires_grad_() for w in problem.weights]
            grads = torch.autograd.grad(problem.value(weights, arch, train), weights)
            moved = [
                w - problem.lr * (g + problem.weight_decay * w + problem.momentum * b)
                for w, g, b in zip(weights, grads, problem.buffers, strict=True)
            ]
            return problem.value(moved, arch, valid).item()
        shares = {"first_order": (0, 1), "single_level": (1, 0), "mixed_level": (1, 1)}[formulation]
        return sum(
            share * problem.value(problem.weights, arch, part).item()
            for share, part in zip(shares, (train, valid), strict=True)
        )

    step = 1e-5
    slope = (objective(step) - objective(-step)) / (2 * step)
    grads = search.formulation.arch_grads(problem, train, valid)
    expected = sum(float((g * d).sum()) for g, d in zip(grads, direction, strict=True))
    assert slope == pytest.approx(expected, rel=2e-4, abs=1e-8)
