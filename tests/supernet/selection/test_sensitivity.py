import csv

import pytest
import torch
import torch.nn.functional as F

from search_spaces.nasbench201 import CELL, NASBench201
from search_spaces.operations import Form
from supernet.estimators.proxies.normalisation import normalised
from supernet.selection.base import task_of
from supernet.selection.sensitivity import (
    FlowSensitivity,
    GradientFlowSensitivity,
    LossSensitivity,
    connection_sensitivity,
    decodable,
    gradient_preservation,
)
from tests.search_spaces.plain import PlainNetwork
from tests.supernet.searches import SPACE, TWO_CELLS, images, module

ALL = [FlowSensitivity, LossSensitivity, GradientFlowSensitivity]


def of_cell(*values):
    return {"a": torch.tensor(values, dtype=torch.float64)}


def test_connection_sensitivity_of_a_polynomial_is_its_derivative_times_alpha():
    found = connection_sensitivity(
        lambda tables: 3 * tables["a"][0] - 2 * tables["a"][0] * tables["a"][1], of_cell(2, 5)
    )
    assert found["a"].tolist() == [2 * abs(3 - 10), 5 * 4]


def test_gradient_preservation_of_a_quadratic_is_alpha_times_hessian_times_gradient():
    hessian, linear, alpha = (
        torch.tensor([[2.0, 1.0], [1.0, -3.0]]).double(),
        torch.tensor([1.0, 4.0]).double(),
        [2, -1],
    )

    def quadratic(tables):
        return 0.5 * tables["a"] @ hessian @ tables["a"] + linear @ tables["a"]

    found = gradient_preservation(quadratic, of_cell(*alpha))
    # gradient (2*2 - 1 + 1, 2 + 3 + 4) = (4, 9); Hessian times it (17, -23)
    assert found["a"].tolist() == [2 * 17, -1 * -23]


def test_with_skips_alone_the_flow_is_the_product_of_alphas_over_paths(tmp_path):
    """A cell multiplies by ``p = a01 a12 a23 + a02 a23 + a01 a13 + a03``, three cells by its cube."""
    space = NASBench201(channels=2, cells_per_stage=1)
    allowed = {CELL: torch.zeros(6, 5, dtype=torch.bool)}
    allowed[CELL][:, 1] = True
    space = space.restrict(allowed)
    a = [-0.3, 0.5, 0.2, 0.7, 0.4, 0.6]  # edges 01, 02, 12, 03, 13, 23
    alphas = {CELL: torch.zeros(6, 5)}
    alphas[CELL][:, 1] = torch.tensor(a)
    task = task_of(module(space=space), images(num_classes=10, num_images=40))
    found = FlowSensitivity(tmp_path).saliencies(space.supernet().train(), alphas, task)[CELL]
    a01, a02, a12, _, a13, a23 = map(abs, a)
    slopes = [a12 * a23 + a13, a23, a01 * a23, 1, a01, a01 * a12 + a02]
    expected = torch.tensor([abs(value) * slope for value, slope in zip(a, slopes, strict=True)], dtype=torch.float64)
    torch.testing.assert_close(found[:, 1] / found[:, 1].sum(), expected / expected.sum(), rtol=1e-6, atol=0)
    assert not found[:, [0, 2, 3, 4]].any()


@pytest.mark.parametrize("positive", [True, False])
def test_saliencies_are_those_of_modules_of_their_own(tmp_path, positive):
    """Independently: one module for each edge and operation, its weights made positive by hand."""
    task = task_of(module(), images())
    torch.manual_seed(3)
    network = SPACE.supernet().double().train()
    plain = PlainNetwork(network, SPACE, Form(affine=False)).double().train()
    alphas = {CELL: 0.2 * torch.randn(6, 5, dtype=torch.float64)}
    leaf = alphas[CELL].clone()
    if positive:
        with torch.no_grad():
            for parameter in plain.parameters():
                parameter.copy_(parameter.abs())
        leaf = leaf.abs().requires_grad_()
        with normalised("identity"):
            plain(torch.ones(1, 3, 8, 8, dtype=torch.float64), {CELL: leaf}).sum().backward()
        found = FlowSensitivity(tmp_path).saliencies(network, alphas, task)
    else:
        x, y = task.samples.batch(12)
        leaf.requires_grad_()
        F.cross_entropy(plain(x.double(), {CELL: leaf}), y).backward()
        selection = LossSensitivity(tmp_path, batch_size=12)
        selection.loss = lambda network, weights, task: F.cross_entropy(network(x.double(), weights), y)
        found = selection.saliencies(network, alphas, task)
    torch.testing.assert_close(found[CELL], (leaf * leaf.grad).abs().detach(), rtol=1e-9, atol=1e-14)
    assert not found[CELL][:, 0].any()  # `none` does nothing
    assert (found[CELL][:, 1:] > 0).all()


@pytest.mark.parametrize("selection", ALL)
@pytest.mark.parametrize("space", [SPACE, TWO_CELLS], ids=["nasbench201", "darts"])
def test_the_architecture_is_what_the_saliencies_stand_for_without_none(tmp_path, selection, space):
    arguments = {} if selection is FlowSensitivity else {"batch_size": 8}
    made = [selection(tmp_path, **arguments).select(module(space=space, seed=seed), images()) for seed in (0, 0, 1)]
    assert made[0] == made[1] != made[2]
    found = made[2].architecture
    assert space.contains(found)
    assert all(space.operations[cell][o] != "none" for cell, row in found.choices for o in row if o >= 0)
    tables = {cell: torch.full(table.shape, -torch.inf) for cell, table in space.allowed.items()}
    with (tmp_path / "scores.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            edge = space.edges[row["cell"]].index(tuple(map(int, row["edge"].split("->"))))
            index = space.operations[row["cell"]].index(row["operation"])
            tables[row["cell"]][edge, index] = float(row["score"])
    for table in tables.values():
        table[:, 0] = -torch.inf
    assert space.discretize(tables) == found
    total = sum(float(tables[cell][e, o]) for cell, row in found.choices for e, o in enumerate(row) if o >= 0)
    assert made[2].metrics["selection/score"] == pytest.approx(total, rel=1e-5)


def test_with_equal_alphas_the_largest_convolution_wins_everywhere(tmp_path):
    found = FlowSensitivity(tmp_path, alpha_std=None).select(module(), images()).architecture
    assert found[CELL] == (3,) * 6


def test_an_edge_with_none_alone_keeps_it():
    allowed = {CELL: SPACE.allowed[CELL].clone()}
    allowed[CELL][2, 1:] = False
    table = decodable(SPACE.restrict(allowed), {CELL: torch.ones(6, 5)})[CELL]
    assert table[2].tolist() == [1] + [-torch.inf] * 4
    assert table[0].tolist() == [-torch.inf] + [1] * 4


def test_settings_without_sense_are_refused(tmp_path):
    with pytest.raises(ValueError, match="alpha_std"):
        FlowSensitivity(tmp_path, alpha_std=0)
    with pytest.raises(ValueError, match="batch_size"):
        LossSensitivity(tmp_path, batch_size=0)
    with pytest.raises(ValueError, match="batch of 100 images is asked for, but there are 24"):
        LossSensitivity(tmp_path, batch_size=100).check(task_of(module(), images()))
