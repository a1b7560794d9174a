import csv
import functools

import pytest
import torch

from search_spaces.architecture import DROPPED, Architecture
from search_spaces.nasbench201 import CELL, NASBench201
from supernet import seeds
from supernet.errors import UserError
from supernet.estimators.proxies.knas import KNAS
from supernet.selection.base import task_of
from supernet.selection.undecided import UNDECIDED
from supernet.selection.zero_pt import ZeroCostPerturbation, mixture
from tests.supernet.searches import SPACE, TWO_CELLS, images, module
from tests.supernet.selection.planted import CONV, Convolutions, OfMixture, score_of_mixture, total, worth

SKIP, CONV1 = 1, 2


@pytest.fixture
def without_networks(monkeypatch):
    monkeypatch.setattr("supernet.selection.zero_pt.supernet_score", score_of_mixture)


def select(folder, function, space=SPACE, seed=0, seen=None, **settings):
    estimator = functools.partial(OfMixture, function=function, seen=seen)
    selection = ZeroCostPerturbation(folder, estimator, **({"orders": 1, "validation_batches": 1} | settings))
    return selection.select(module(space=space, seed=seed), images())


def two_choices():
    """A convolution or a skip on two edges a and b, and the score ``sum V[i, j] a_i b_j``, V = [[5, 4], [1, 7]]."""
    allowed = {CELL: torch.zeros(6, 5, dtype=torch.bool)}
    allowed[CELL][:, SKIP] = True
    allowed[CELL][[0, 5], CONV] = True
    values = torch.tensor([[5.0, 4.0], [1.0, 7.0]])

    def score(weights):
        return float(
            weights[CELL][0, [CONV, SKIP]].double() @ values.double() @ weights[CELL][5, [CONV, SKIP]].double()
        )

    return SPACE.restrict(allowed), score


def read(folder, name):
    with (folder / name).open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.usefixtures("without_networks")
@pytest.mark.parametrize("none", [False, True])
@pytest.mark.parametrize("space", [SPACE, TWO_CELLS], ids=["nasbench201", "darts"])
def test_a_planted_score_is_found(tmp_path, space, none):
    tables = worth(space)
    if space is SPACE:
        tables[CELL][:, 0] = 0.0 if none else 2.0  # `none`, which could win
    rows = {}
    for cell, table in tables.items():
        named = torch.tensor([name != "none" for name in space.operations[cell]])
        best, choices = table.masked_fill(~space.candidates(cell) | ~named, -1).max(dim=1)
        row = choices.tolist()
        for node, keep in space.inputs.get(cell, {}).items():
            entering = [edge for edge, (_, end) in enumerate(space.edges[cell]) if end == node]
            for edge in sorted(entering, key=lambda edge: -float(best[edge]))[keep:]:
                row[edge] = DROPPED
        rows[cell] = row
    selected = select(tmp_path, total(tables), space, none=none)
    assert selected.architecture == Architecture.of(rows)
    expected = sum(float(tables[cell][e, o]) for cell, row in rows.items() for e, o in enumerate(row) if o != DROPPED)
    assert selected.metrics["selection/score"] == pytest.approx(expected)


@pytest.mark.usefixtures("without_networks")
def test_two_edges_are_decided_as_worked_by_hand(tmp_path):
    """Let c and s be the weights of a convolution and a skip on edge a = 0 to 1 and on edge b = 2 to 3.

    The score is ``4 c_a s_b + 2 s_a c_b + c_a c_b``. With half a weight on each it is 1.75. Without c_a it is 0.5,
    without s_a 1.25; without s_b 0.75, without c_b 1. So a becomes c if it is decided first; then without s_b it is 0.5
    and without c_b 2. If b is first it becomes s; then without c_a it is 0 and without s_a 2.
    """
    allowed = {CELL: torch.zeros(6, 5, dtype=torch.bool)}
    allowed[CELL][:, SKIP] = True
    allowed[CELL][[0, 5], CONV] = True
    space = SPACE.restrict(allowed)

    def score(weights):
        (c_a, s_a), (c_b, s_b) = (weights[CELL][edge, [CONV, SKIP]].tolist() for edge in (0, 5))
        return 4 * c_a * s_b + 2 * s_a * c_b + c_a * c_b

    found = []
    for seed in range(6):
        folder = tmp_path / str(seed)
        folder.mkdir()
        selected = select(folder, score, space, seed)
        assert selected.architecture[CELL] == (CONV, SKIP, SKIP, SKIP, SKIP, SKIP)
        assert selected.metrics["selection/score"] == 4
        found.append({(row["edge"], row["without"]): float(row["score"]) for row in read(folder, "scores.csv")})
    first_a = {("0->1", "nor_conv_3x3"): 0.5, ("0->1", "skip_connect"): 1.25,
               ("2->3", "nor_conv_3x3"): 2.0, ("2->3", "skip_connect"): 0.5}  # fmt: skip
    first_b = {("0->1", "nor_conv_3x3"): 0.0, ("0->1", "skip_connect"): 2.0,
               ("2->3", "nor_conv_3x3"): 1.0, ("2->3", "skip_connect"): 0.75}  # fmt: skip
    assert first_a in found
    assert first_b in found
    assert all(one in (first_a, first_b) for one in found)


@pytest.mark.usefixtures("without_networks")
def test_of_several_orders_the_best_proposal_is_kept_and_equal_states_are_measured_once(tmp_path):
    """Of `two_choices`, with operations c and s.

    The edge that is decided first takes the row or column with the larger sum, the other one the larger entry in it: a
    first leads to c and c with 5, b first to s and s with 7.
    """
    space, score = two_choices()
    selected = select(tmp_path, score, space, orders=6)
    found = {space.parse(row["arch"])[CELL]: float(row["score"]) for row in read(tmp_path, "candidates.csv")}
    assert found == {(CONV, SKIP, SKIP, SKIP, SKIP, CONV): 5, (SKIP,) * 6: 7}
    assert selected.architecture[CELL] == (SKIP,) * 6
    keys = [tuple(row[name] for name in ("decided", "cell", "edge", "without")) for row in read(tmp_path, "scores.csv")]
    assert len(set(keys)) == len(keys) == 8


def test_knas_keeps_convolutions_and_its_opposite_skips_and_poolings(tmp_path):
    """The sign: what the score falls most without must stay. The other way round the search collapses."""
    space = NASBench201(channels=8, cells_per_stage=1, num_classes=3)

    class Opposite(KNAS):
        def measure(self, *arguments):
            return -super().measure(*arguments)

    counts = []
    for proxy in (KNAS, Opposite):
        folder = tmp_path / proxy.__name__
        folder.mkdir()
        selection = ZeroCostPerturbation(folder, functools.partial(proxy, batch_size=16), orders=1)
        row = selection.select(module(space=space, seed=1), images(size=16)).architecture[CELL]
        counts.append(sum(choice in (CONV1, CONV) for choice in row))
    assert counts[0] >= 5
    assert counts[1] <= 1


def test_what_is_measured_is_a_part_of_one_supernet(tmp_path):
    allowed = {CELL: SPACE.allowed[CELL].clone()}
    allowed[CELL][:4, 1:3] = False  # fewer, to be quick
    allowed[CELL][:, 0] = False
    space, seen = SPACE.restrict(allowed), []
    select(tmp_path, total(worth(SPACE)), space, seen=seen)
    torch.manual_seed(seeds.derive(0, seeds.SCORE, 0))
    whole = space.supernet().state_dict()
    assert sum(int((one.weights[CELL] != 0).sum()) == int(allowed[CELL].sum()) - 1 for one in seen) in (2, 4)
    for mixed in seen:
        kept = mixed.weights[CELL] != 0
        for name, tensor in mixed.network.state_dict().items():
            expected = whole[name]
            if ".operations." in name and tensor.dim() == 4:  # a convolution serves the edges that have it
                group = name.split(".")[3]
                index = SPACE.operations[CELL].index(group[2:])
                edges = [e for e, (start, _) in enumerate(SPACE.edges[CELL]) if start == int(group[0])]
                had = [e for e in edges if allowed[CELL][e, index]]
                expected = expected.unflatten(0, (len(had), -1))[[bool(kept[e, index]) for e in had]].flatten(0, 1)
            if tensor.dim() == 4:
                assert torch.equal(tensor, expected)


@pytest.mark.usefixtures("without_networks")
def test_none_may_be_chosen_where_that_is_asked_for(tmp_path):
    tables = worth(SPACE)
    tables[CELL][:, 0] = 2.0
    row = select(tmp_path, total(tables), none=True).architecture[CELL]
    assert 3 <= row.count(0) <= 5


def test_decided_edges_have_weight_one_and_what_is_taken_away_leaves_its_share_to_nothing():
    partial = Architecture.of({"normal": [4, DROPPED] + [UNDECIDED] * 12, "reduce": [UNDECIDED] * 14})
    weights = mixture(TWO_CELLS, partial, "normal", 5, 3)
    assert weights["normal"][0].tolist() == [0, 0, 0, 0, 1, 0, 0, 0]
    assert not weights["normal"][1].any()
    assert weights["normal"][5].tolist() == [1 / 8] * 3 + [0] + [1 / 8] * 4
    assert torch.equal(weights["reduce"], torch.full((14, 8), 1 / 8))
    assert not mixture(TWO_CELLS, partial, "normal", 0, None)["normal"][0].any()


def test_a_resumed_search_goes_on_with_the_same_decisions(tmp_path, monkeypatch):
    tables, calls = worth(SPACE), []

    def counting(proxy, weights):
        calls.append(weights)
        return score_of_mixture(proxy, weights)

    monkeypatch.setattr("supernet.selection.zero_pt.supernet_score", counting)
    whole = select(tmp_path, total(tables), orders=2)
    count = len(calls)
    lines = (tmp_path / "scores.csv").read_text().splitlines(keepends=True)
    (tmp_path / "scores.csv").write_text("".join(lines[:12]))
    calls.clear()
    assert select(tmp_path, total(tables), orders=2) == whole
    assert len(calls) == count - 11


def test_proposed_architectures_are_judged_by_several_batches(tmp_path):
    selection = ZeroCostPerturbation(
        tmp_path, functools.partial(KNAS, batch_size=4), orders=1, validation_batches=3, channels=2
    )
    selected = selection.select(module(), images())
    expected = KNAS(task_of(module(), images()), batch_size=4, batches=3).score([selected.architecture])
    assert selected.metrics["selection/score"] == float(expected)


def test_settings_without_sense_are_refused(tmp_path):
    with pytest.raises(ValueError, match="validation_batches"):
        ZeroCostPerturbation(tmp_path, Convolutions, validation_batches=0)
    with pytest.raises(ValueError, match="orders"):
        ZeroCostPerturbation(tmp_path, Convolutions, orders=0)
    with pytest.raises(ValueError, match="cannot look at a supernet"):
        ZeroCostPerturbation(tmp_path, Convolutions).check(task_of(module(), images()))


@pytest.mark.usefixtures("without_networks")
def test_the_pool_of_a_space_is_never_left_not_even_for_none(tmp_path):
    pool = [
        SPACE.parse(f"|none~0|+|{name}~0|none~1|+|skip_connect~0|none~1|{name}~2|") for name in ("nor_conv_3x3", "none")
    ]
    assert select(tmp_path, total(worth(SPACE)), SPACE.restrict(pool=pool)).architecture in pool


@pytest.mark.usefixtures("without_networks")
def test_where_no_proposal_has_a_finite_score_nothing_is_found(tmp_path):
    with pytest.raises(UserError, match="not one of 1 architectures has a finite score"):
        select(tmp_path, lambda weights: float("nan"))


@pytest.mark.usefixtures("without_networks")
def test_a_proposal_whose_score_is_not_a_number_is_worse_than_any_other(tmp_path):
    """As in the example of several orders: both skips would score 7."""
    space, score = two_choices()
    selected = select(tmp_path, lambda w: float("nan") if score(w) == 7 else score(w), space, orders=6)
    assert len(read(tmp_path, "candidates.csv")) == 2
    assert selected.metrics["selection/score"] == 5
