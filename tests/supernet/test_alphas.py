import pytest
import torch

from supernet.alphas import Alphas, Mixture
from supernet.relaxations.dirichlet import Dirichlet
from supernet.relaxations.gumbel import Gumbel
from supernet.relaxations.sigmoid import Sigmoid
from supernet.relaxations.softmax import Softmax
from supernet.relaxations.uniform import Uniform

ALLOWED = {"normal": torch.ones(5, 3, dtype=torch.bool), "reduce": torch.ones(5, 3, dtype=torch.bool)}
NODES = {"normal": [2, 2, 3, 3, 3], "reduce": [2, 2, 3, 3, 3]}


def alphas(relaxation=None, edge_normalization=False) -> Alphas:
    return Alphas(relaxation or Softmax(), ALLOWED, NODES, edge_normalization).double()


def test_edge_normalisation_is_a_softmax_over_the_edges_that_enter_a_node():
    table = alphas(edge_normalization=True)
    beta = torch.tensor([1.0, -2.0, 0.5, 800.0, 799.0], dtype=torch.float64)  # large ones must not overflow
    table.beta["normal"].data.copy_(beta)
    edges = table.mean().edges
    expected = torch.cat([beta[:2].softmax(0), beta[2:].softmax(0)])
    torch.testing.assert_close(edges["normal"], expected)
    torch.testing.assert_close(edges["reduce"][:2].sum(), torch.ones((), dtype=torch.float64))


def test_the_combined_mixture_is_weights_times_edges():
    table = alphas(edge_normalization=True)
    mixture = table.mean()
    torch.testing.assert_close(
        mixture.combined()["normal"], mixture.weights["normal"] * mixture.edges["normal"][:, None]
    )
    assert Mixture(mixture.weights).combined().keys() == mixture.weights.keys()


@pytest.mark.parametrize("relaxation", [Softmax(), Sigmoid(), Gumbel(hard=False)])
def test_gradients_reach_alphas_and_betas_at_the_values_given(relaxation):
    table = alphas(relaxation, edge_normalization=True)
    values = [torch.randn_like(t).requires_grad_() for t in table.tensors()]
    relaxation.seed(3, torch.device("cpu"))
    mixture = table.sample(values)
    total = sum((t * torch.randn_like(t)).sum() for t in mixture.combined().values())
    assert all(gradient.abs().sum() > 0 for gradient in torch.autograd.grad(total, values))
    assert len(values) == 4


def test_a_sparse_relaxation_names_the_operation_of_each_edge():
    table = alphas(Gumbel(hard=True))
    table.relaxation.seed(1, torch.device("cpu"))
    mixture = table.sample(table.tensors())
    for cell, weights in mixture.weights.items():
        assert mixture.only[cell] == weights.argmax(dim=1).tolist()
    assert table.mean().only is None


def test_a_relaxation_that_learns_nothing_has_no_tensors_but_edges():
    assert alphas(Uniform()).tensors() == []
    assert len(alphas(Uniform(), edge_normalization=True).tensors()) == 2
    table = alphas(Uniform(strict=True))
    assert table.samples == 3
    table.relaxation.seed(1, torch.device("cpu"))
    assert table.sample([]).weights["normal"].sum(dim=1).tolist() == [1.0] * 5


def test_restriction_zeroes_alphas_and_keeps_them_out():
    table = alphas()
    for value in table.tensors():
        value.data.fill_(2.0)
    smaller = {cell: t.clone() for cell, t in ALLOWED.items()}
    smaller["normal"][:, 1] = False
    table.restrict(smaller)
    assert table["normal"][:, 1].abs().sum() == 0
    mean = table.mean().weights["normal"]
    assert mean[:, 1].abs().sum() == 0
    torch.testing.assert_close(mean.sum(dim=1), torch.ones(5, dtype=torch.float64))


def test_the_penalty_adds_up_over_cell_types():
    relaxation = Sigmoid(zero_one_weight=2.0)
    table = alphas(relaxation)
    parts = [relaxation.penalty(table[cell], ALLOWED[cell]) for cell in ALLOWED]
    torch.testing.assert_close(table.penalty(), parts[0] + parts[1])


START = {cell: torch.arange(15.0).reshape(5, 3) / 10 for cell in ALLOWED}


def test_alphas_start_near_where_they_are_told_and_begin_anew_there():
    table = alphas(edge_normalization=True)
    noise = table["normal"].detach().clone()
    table.start_at(START)
    torch.testing.assert_close(table["normal"].detach(), START["normal"].double() + noise)
    for value in table.tensors():
        value.data.fill_(7.0)
    torch.manual_seed(3)
    table.redraw()
    torch.manual_seed(3)
    draws = [1e-3 * torch.randn(value.shape) for value in table.tensors()]
    for cell, draw in zip(ALLOWED, draws, strict=False):
        torch.testing.assert_close(table[cell].detach(), (START[cell] + draw).double(), rtol=1e-6, atol=0)
    torch.testing.assert_close(table.beta["normal"].detach(), draws[2].double())


def test_penalties_know_where_alphas_started():
    relaxation = Dirichlet(anchor_scale=2.0)
    table = alphas(relaxation)
    table.start_at(START)
    assert table.penalty() < 1e-4  # the noise alone
    for cell in ALLOWED:
        table[cell].data.copy_(START[cell] + 1)
    assert float(table.penalty().detach()) == pytest.approx(30, rel=1e-6)


def test_what_is_ruled_out_has_no_start():
    table = alphas(Dirichlet(anchor_scale=2.0))
    table.start_at(START)
    for cell in ALLOWED:
        table[cell].data.copy_(START[cell])
    smaller = {cell: t.clone() for cell, t in ALLOWED.items()}
    smaller["normal"][:, 2] = False
    table.restrict(smaller)
    assert table["normal"][:, 2].abs().sum() == 0
    assert float(table.penalty().detach()) == pytest.approx(0, abs=1e-12)


ROWS = {"normal": [[0, 1, -1, 2, -1], [2, 2, 1, -1, -1]], "reduce": [[1, 1, -1, -1, 0], [0, 2, 1, 1, -1]]}
POOL = {cell: torch.tensor(rows) for cell, rows in ROWS.items()}


def pooled(relaxation, edge_normalization=False) -> Alphas:
    return Alphas(relaxation, ALLOWED, NODES, edge_normalization, POOL).double()


def test_a_single_path_is_a_whole_architecture_of_the_pool():
    table, seen = pooled(Uniform()), set()
    for seed in range(20):
        table.relaxation.seed(seed, torch.device("cpu"))
        mixture = table.sample(table.tensors())
        member = ROWS["normal"].index(mixture.only["normal"])
        seen.add(member)
        for cell, rows in ROWS.items():  # both cell types are of the same one
            assert mixture.only[cell] == rows[member]
            kept = [float(choice >= 0) for choice in rows[member]]
            assert mixture.edges[cell].tolist() == kept
            assert mixture.weights[cell].sum(dim=1).tolist() == kept
            assert all(mixture.weights[cell][e, o] == 1 for e, o in enumerate(rows[member]) if o >= 0)
    assert seen == {0, 1}


def test_edges_that_are_not_kept_have_no_share_of_the_edge_normalisation():
    table = pooled(Uniform(), edge_normalization=True)
    table.relaxation.seed(0, torch.device("cpu"))
    mixture = table.sample(table.tensors())
    kept = torch.tensor(mixture.only["normal"]) >= 0
    torch.testing.assert_close(mixture.edges["normal"], table.mean().edges["normal"] * kept)


def test_the_mean_of_single_paths_is_how_often_the_pool_has_an_operation():
    for mixture in (pooled(Uniform()).mean(), pooled(Uniform()).judged()):
        weights = mixture.weights["normal"]
        assert weights[0].tolist() == [0.5, 0, 0.5]
        assert weights[2].tolist() == [0, 0.5, 0]
        assert weights[4].tolist() == [0, 0, 0]


def test_what_learns_mixes_all_allowed_operations_also_with_a_pool():
    for relaxation in (Softmax(), Gumbel(hard=True)):
        one, other = alphas(relaxation), pooled(relaxation)
        other.load_state_dict(one.state_dict())
        results = []
        for table in (one, other):
            relaxation.seed(5, torch.device("cpu"))
            results.append(table.sample(table.tensors()).weights["reduce"])
        assert torch.equal(*results)
