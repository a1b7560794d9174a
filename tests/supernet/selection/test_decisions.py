import itertools

import pytest
import torch

from search_spaces.architecture import DROPPED, Architecture
from search_spaces.darts import CELLS, DARTS
from search_spaces.nasbench1shot1 import NASBench1Shot1
from search_spaces.nasbench201 import CELL, NASBench201
from search_spaces.robust_darts import RobustDARTS
from supernet.selection.decisions import decide
from supernet.selection.undecided import UNDECIDED

SPACE, TWO_CELLS = NASBench201(), DARTS()


class Rigged:
    """An accuracy that says how much each operation and each edge matters, and remembers what it was asked."""

    def __init__(self, space, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        shapes = {cell: table.shape for cell, table in space.allowed.items()}
        self.space = space
        self.operations = {cell: torch.rand(shape, generator=generator) for cell, shape in shapes.items()}
        self.inputs = {cell: torch.rand(shape[0], generator=generator) for cell, shape in shapes.items()}
        self.asked: list[tuple[Architecture, str, int, int | None]] = []
        self.tuned: list[Architecture] = []

    def accuracy(self, partial, cell, edge, operation) -> float:
        self.asked.append((partial, cell, edge, operation))
        return 1 - float(self.inputs[cell][edge] if operation is None else self.operations[cell][edge, operation])

    def decide(self, strength=None, seed: int = 0) -> Architecture:
        strength = strength or {cell: torch.zeros_like(table) for cell, table in self.operations.items()}
        generator = torch.Generator().manual_seed(seed)
        return decide(self.space, self.accuracy, self.tuned.append, generator, strength)

    def expected(self) -> Architecture:
        """What matters most, written by hand: of each edge an operation, of each node its inputs."""
        rows = {}
        for cell, edges in self.space.edges.items():
            table = self.operations[cell].masked_fill(~self.space.candidates(cell), -1)
            row = table.argmax(dim=1).tolist()
            for node, keep in self.space.inputs.get(cell, {}).items():
                entering = [edge for edge, (_, end) in enumerate(edges) if end == node]
                for edge in sorted(entering, key=lambda edge: -self.inputs[cell][edge])[keep:]:
                    row[edge] = DROPPED
            rows[cell] = row
        return Architecture.of(rows)


@pytest.mark.parametrize("seed", range(5))
def test_on_nasbench201_each_edge_keeps_the_operation_that_matters_most(seed):
    rigged = Rigged(SPACE, seed)
    rigged.operations[CELL][:, 0] = 0  # `none` is another test
    assert rigged.decide(seed=seed) == rigged.expected()
    assert sorted((edge, operation) for _, _, edge, operation in rigged.asked) == [
        *itertools.product(range(6), range(5))
    ]


@pytest.mark.parametrize("space", [TWO_CELLS, RobustDARTS("s1"), NASBench1Shot1(3)], ids=["darts", "s1", "1shot1"])
@pytest.mark.parametrize("seed", range(2))
def test_then_nodes_keep_the_inputs_that_matter_most(space, seed):
    rigged = Rigged(space, seed)
    found = rigged.decide(seed=seed)
    assert found == rigged.expected()
    assert space.contains(found)


def test_a_round_decides_an_edge_of_each_cell_and_then_a_node_of_each_and_tuning_lies_in_between():
    rigged = Rigged(TWO_CELLS)
    found = rigged.decide()
    assert len(rigged.tuned) == 14 + 3 - 1
    for number, partial in enumerate(rigged.tuned, start=1):
        for cell in CELLS:
            assert partial[cell].count(UNDECIDED) == max(0, 14 - number)
            assert partial[cell].count(DROPPED) <= 6
    for cell in CELLS:
        dropped = [partial[cell].count(DROPPED) for partial in (*rigged.tuned[13:], found)]
        assert dropped[0] == 0
        assert dropped[-1] == 6
        assert dropped == sorted(set(dropped))  # more with every round


def test_measurements_are_of_what_is_still_open_and_see_all_earlier_decisions():
    rigged = Rigged(TWO_CELLS)
    rigged.decide()
    none = TWO_CELLS.operations["normal"].index("none")
    for partial, cell, edge, operation in rigged.asked:
        assert operation != none
        assert (operation is not None) == (partial[cell][edge] == UNDECIDED)
        other = CELLS[1 - CELLS.index(cell)]
        ahead = partial[other].count(UNDECIDED) - partial[cell].count(UNDECIDED)
        assert ahead == (0 if cell == "normal" else -1) or operation is None


def test_the_order_is_random_and_a_function_of_the_generator():
    def order(seed: int) -> list[int]:
        rigged = Rigged(SPACE)
        rigged.decide(seed=seed)
        return list(dict.fromkeys(edge for _, _, edge, _ in rigged.asked))

    assert order(0) == order(0)
    assert len({tuple(order(seed)) for seed in range(5)}) > 1
    assert sorted(order(0)) == list(range(6))


def test_of_equals_what_the_supernet_mixes_in_more_of_is_kept():
    rigged = Rigged(TWO_CELLS)
    strength = rigged.operations
    rigged.operations = {cell: torch.full_like(table, 0.5) for cell, table in strength.items()}
    rigged.inputs = {cell: torch.full_like(few, 0.5) for cell, few in rigged.inputs.items()}
    assert rigged.decide(strength) == TWO_CELLS.discretize(strength)


@pytest.mark.parametrize("seed", range(6))
def test_none_may_be_chosen_but_never_cuts_the_output_off(seed):
    rigged = Rigged(SPACE)
    rigged.operations[CELL][:, 0] = 2  # `none` matters most on every edge
    found = rigged.decide(seed=seed)
    assert SPACE.is_valid(found)
    assert 3 <= found[CELL].count(0) <= 5


@pytest.mark.parametrize("seed", range(3))
def test_noise_never_cuts_a_cell_off_not_even_by_the_choice_of_inputs(seed):
    space = RobustDARTS("s4")
    rigged = Rigged(space, seed)
    noise = space.operations["normal"].index("noise")
    for cell in CELLS:
        rigged.operations[cell][:, noise] = 2
        rigged.inputs[cell] = torch.arange(14.0).flip(0) / 14
    found = rigged.decide(seed=seed)
    assert space.is_valid(found)
    assert space.contains(found)
    assert all(found[cell].count(noise) >= 6 for cell in CELLS)


def test_what_a_smaller_space_has_decided_is_not_measured():
    allowed = {cell: table.clone() for cell, table in TWO_CELLS.allowed.items()}
    allowed["normal"][:] = False
    allowed["normal"][:, [0, 4]] = True  # `none` and one candidate
    space = TWO_CELLS.restrict(allowed)
    rigged = Rigged(space)
    found = rigged.decide()
    assert {cell for _, cell, _, operation in rigged.asked if operation is not None} == {"reduce"}
    assert set(found["normal"]) == {4, DROPPED}
    assert space.contains(found)


@pytest.mark.parametrize("space", [SPACE, TWO_CELLS], ids=["nasbench201", "darts"])
def test_the_pool_of_a_space_is_never_left(space, generator):
    pool = [architecture for architecture in space.sample(12, generator) if space.is_valid(architecture)]
    for seed in range(3):
        assert Rigged(space.restrict(pool=pool), seed).decide(seed=seed) in pool
