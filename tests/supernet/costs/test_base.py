import itertools

import pytest
import torch

from search_spaces.architecture import DROPPED
from search_spaces.darts import DARTS
from search_spaces.nasbench201 import NASBench201
from supernet.alphas import Alphas, Mixture
from supernet.costs.base import CostTerm
from supernet.costs.tables import CostTable, counted
from supernet.errors import UserError
from supernet.relaxations.softmax import Softmax

SPACE = NASBench201(channels=4, cells_per_stage=1)
TWO_CELLS = DARTS(channels=4, layers=3)
IMAGE = (3, 8, 8)
TABLES = {space.name: counted(space, IMAGE, "multiply_adds") for space in (SPACE, TWO_CELLS)}
TERMS = {space.name: CostTerm(space, TABLES[space.name]) for space in (SPACE, TWO_CELLS)}
both = pytest.mark.parametrize("space", [SPACE, TWO_CELLS], ids=lambda space: space.name)


def random_weights(space):
    return {cell: torch.rand(t.shape, dtype=torch.float64).softmax(dim=1) for cell, t in space.allowed.items()}


def random_shares(space):
    """For each cell type numbers that sum to one over the edges that enter a node."""
    shares = {}
    for cell, edges in space.edges.items():
        ends, values = torch.tensor([end for _, end in edges]), torch.rand(len(edges), dtype=torch.float64)
        shares[cell] = values / torch.stack([values[ends == end].sum() for end in ends])
    return shares


def test_a_one_hot_mixture_has_the_cost_of_its_architecture(generator):
    for architecture in SPACE.sample(10, generator):
        mixture = Mixture(architecture.one_hot(SPACE.operations, torch.float64))
        assert float(TERMS["nasbench201"].expected(mixture)) == TERMS["nasbench201"].of(architecture)


def test_so_it_has_where_nodes_keep_two_edges_and_these_share_the_beta(generator):
    for architecture in TWO_CELLS.sample(10, generator):
        edges = {cell: torch.tensor([choice != DROPPED for choice in row]) / 2 for cell, row in architecture.choices}
        mixture = Mixture(architecture.one_hot(TWO_CELLS.operations, torch.float64), edges)
        assert float(TERMS["darts"].expected(mixture)) == TERMS["darts"].of(architecture)


def test_the_expectation_is_the_mean_over_the_architectures_the_weights_can_give(generator):
    space = SPACE.restrict({"cell": torch.tensor([[1, 0, 0, 1, 0]] * 4 + [[0, 0, 1, 0, 0]] * 2).bool()})
    weights = {"cell": random_weights(SPACE)["cell"] * space.allowed["cell"]}
    weights["cell"] /= weights["cell"].sum(dim=1, keepdim=True)
    mean = sum(
        float(torch.stack([weights["cell"][edge, choice] for edge, choice in enumerate(found["cell"])]).prod())
        * TERMS["nasbench201"].of(found)
        for found in space.enumerate()
    )
    assert float(TERMS["nasbench201"].expected(Mixture(weights))) == pytest.approx(mean)


def test_the_expectation_is_the_mean_over_the_edges_a_node_can_keep(generator):
    row = {cell: torch.randint(1, 8, (14,), generator=generator) for cell in TWO_CELLS.edges}
    one_hot = {cell: torch.nn.functional.one_hot(choice, 8).double() for cell, choice in row.items()}
    entries, total = TABLES["darts"].entries, TABLES["darts"].fixed
    for cell, edges in TWO_CELLS.edges.items():
        for node in range(2, 6):
            pairs = list(itertools.combinations([e for e, (_, end) in enumerate(edges) if end == node], 2))
            total += sum(float(entries[cell][e, row[cell][e]]) for pair in pairs for e in pair) / len(pairs)
    assert float(TERMS["darts"].expected(Mixture(one_hot))) == pytest.approx(total)


@both
def test_the_gradient_is_the_slope(space):
    term, cells = TERMS[space.name], list(space.edges)
    weights, edges = random_weights(space), random_shares(space)

    def expected(*values):
        weights, edges = values[: len(cells)], values[len(cells) :]
        factors = dict(zip(cells, edges, strict=True)) if edges else None
        return term.expected(Mixture(dict(zip(cells, weights, strict=True)), factors)) / term.reference

    tensors = [t.requires_grad_() for t in weights.values()]
    assert torch.autograd.gradcheck(expected, tensors)
    assert torch.autograd.gradcheck(expected, [*tensors, *(t.requires_grad_() for t in edges.values())])


def test_the_gradient_is_the_table_where_all_edges_are_kept():
    weights = {cell: t.requires_grad_() for cell, t in random_weights(SPACE).items()}
    (slope,) = torch.autograd.grad(TERMS["nasbench201"].expected(Mixture(weights)), weights["cell"])
    assert torch.equal(slope, TABLES["nasbench201"].entries["cell"])


@both
def test_edges_that_share_evenly_are_as_good_as_none(space):
    weights, edges = random_weights(space), {}
    for cell, pairs in space.edges.items():
        ends = [end for _, end in pairs]
        edges[cell] = torch.tensor([1 / ends.count(end) for end in ends], dtype=torch.float64)
    plain, shared = (TERMS[space.name].expected(Mixture(weights, e)) for e in (None, edges))
    torch.testing.assert_close(plain, shared)


def test_a_dearer_edge_costs_more_when_it_is_weighed_more():
    weights = {"cell": torch.zeros(6, 5, dtype=torch.float64)}
    weights["cell"][:, 0] = 1  # none
    weights["cell"][3] = torch.eye(5)[3]  # a 3x3 convolution from the input to the last node
    even, strong = (
        TERMS["nasbench201"].expected(Mixture(weights, {"cell": torch.tensor([1, 0.5, 0.5, share, 0.1, 0.1])}))
        for share in (1 / 3, 0.8)
    )
    fixed = TABLES["nasbench201"].fixed
    assert float(strong - fixed) == pytest.approx(float(even - fixed) * 0.8 * 3, rel=1e-5)


def test_none_makes_no_architecture_cheaper_that_cannot_have_it():
    weights = random_weights(TWO_CELLS)
    without = {cell: table.clone() for cell, table in weights.items()}
    for table in without.values():
        table[:, 0] = 0
        table /= table.sum(dim=1, keepdim=True)
    torch.testing.assert_close(*(TERMS["darts"].expected(Mixture(w)) for w in (weights, without)))


def test_an_edge_with_nothing_but_none_costs_nothing():
    weights = {cell: torch.eye(8)[torch.zeros(14, dtype=torch.long)].requires_grad_() for cell in TWO_CELLS.edges}
    expected = TERMS["darts"].expected(Mixture(weights))
    assert float(expected.detach()) == TABLES["darts"].fixed
    assert all(slope.isfinite().all() for slope in torch.autograd.grad(expected, list(weights.values())))


@both
def test_the_strongest_operations_are_those_of_the_architecture_that_is_read_off(space):
    term = TERMS[space.name]
    for shares in [None, *(random_shares(space) for _ in range(20))]:
        mixture = Mixture(random_weights(space), shares)
        assert float(term.strongest(mixture)) == term.of(space.discretize(mixture.combined()))


def test_among_equal_edges_the_first_is_kept():
    mixture = Mixture({cell: torch.full((14, 8), 0.125) for cell in TWO_CELLS.edges})
    assert float(TERMS["darts"].strongest(mixture)) == TERMS["darts"].of(TWO_CELLS.discretize(mixture.weights))


@both
def test_a_discretized_term_has_the_value_of_the_strongest_operations_and_the_slope_of_the_expectation(space):
    weights = {cell: t.requires_grad_() for cell, t in random_weights(space).items()}
    term = CostTerm(space, TABLES[space.name], discretized=True)
    value = term.expected(Mixture(weights))
    assert float(value.detach()) == float(term.strongest(Mixture(weights)))
    slopes = torch.autograd.grad(value, list(weights.values()))
    expected = torch.autograd.grad(TERMS[space.name].expected(Mixture(weights)), list(weights.values()))
    assert all(torch.equal(*pair) for pair in zip(slopes, expected, strict=True))


@both
def test_without_a_target_the_term_is_its_weight_at_the_beginning(space):
    term = CostTerm(space, TABLES[space.name], weight=0.3)
    alike = {cell: torch.full(t.shape, 1 / t.shape[1]) for cell, t in space.allowed.items()}
    assert float(term.term(term.expected(Mixture(alike)))) == pytest.approx(0.3)


def descend(term, start):
    """The alphas after a descent on the term alone; the logits of the convolutions start at this value."""
    alphas = Alphas(Softmax(), SPACE.allowed, {"cell": [end for _, end in SPACE.edges["cell"]]})
    alphas["cell"].data += torch.randn(6, 5)
    alphas["cell"].data[:, 2:4] += start
    before = float(term.expected(alphas.mean()))
    assert (before > term.target) == (start > 0)
    optimizer = torch.optim.Adam(alphas.tensors(), lr=0.02)
    for _ in range(400):
        optimizer.zero_grad()
        term.term(term.expected(alphas.expected(alphas.tensors()))).backward()
        optimizer.step()
    return alphas


every_start = pytest.mark.parametrize("start", [4.0, -4.0])


@every_start
def test_gradient_descent_on_the_alphas_leads_to_the_target_from_both_sides(start):
    term = CostTerm(SPACE, TABLES["nasbench201"], target=0.8 * TERMS["nasbench201"].reference)
    assert float(term.expected(descend(term, start).mean())) == pytest.approx(term.target, rel=0.05)


@every_start
def test_a_discretized_term_leads_the_architecture_itself_there_up_to_one_operation(start):
    term = CostTerm(SPACE, TABLES["nasbench201"], target=1.5 * TERMS["nasbench201"].reference, discretized=True)
    found = term.of(SPACE.discretize(descend(term, start).mean().weights))
    assert abs(found - term.target) <= float(TABLES["nasbench201"].entries["cell"].max())


def test_the_table_is_copied_to_a_device_and_type_once():
    term = CostTerm(SPACE, TABLES["nasbench201"])
    for dtype in (torch.float32, torch.float64) * 3:
        assert term.expected(Mixture({"cell": torch.full((6, 5), 0.2, dtype=dtype)})).dtype == dtype
    assert len({id(copy) for copy in term._copies.values()}) == len(term._copies) == 2


@pytest.mark.parametrize("target", [3.5, 3.5e9])
def test_a_target_no_architecture_comes_near_is_refused(target):
    with pytest.raises(UserError, match=r"cost.target=3.5.*: the architectures of nasbench201 have from [\d,]+ to "):
        CostTerm(SPACE, TABLES["nasbench201"], target=target)


def test_a_negative_weight_is_refused():
    with pytest.raises(UserError, match=r"cost.weight=-1"):
        CostTerm(SPACE, TABLES["nasbench201"], weight=-1)


def test_the_range_of_a_restricted_space_counts(generator):
    allowed = SPACE.allowed["cell"].clone()
    allowed[:, 2:4] = False
    fixed = TABLES["nasbench201"].fixed
    with pytest.raises(UserError, match=f"have from {fixed:,.0f} to {fixed:,.0f} multiply_adds"):
        CostTerm(SPACE.restrict({"cell": allowed}), TABLES["nasbench201"], target=2 * fixed)


def test_fractions_are_readable():
    table = CostTable("milliseconds", {"cell": torch.full((6, 5), 0.0123456789)}, 1234.5)
    with pytest.raises(UserError, match=r"have from 1,234.5741 to 1,234.5741 milliseconds"):
        CostTerm(SPACE, table, target=1.0)
