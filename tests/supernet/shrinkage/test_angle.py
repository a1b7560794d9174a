import copy
import itertools
import math

import pytest
import torch

from search_spaces.architecture import Architecture
from search_spaces.darts import DARTS
from search_spaces.nasbench201 import EDGES, NASBench201
from supernet.shrinkage.angle import Angle, Turned, operation_scores, paths
from tests.supernet.estimators.tasks import SMALL, task

TWO = DARTS(channels=4, layers=3)
EXAMPLE = SMALL.parse("|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|none~1|nor_conv_3x3~2|")


def networks(space):
    """A supernet, and the same with other weights."""
    torch.manual_seed(0)
    initial = space.supernet().double()
    trained = copy.deepcopy(initial)
    for parameter in trained.parameters():
        parameter.data += 0.3 * parameter.std() * torch.randn_like(parameter)
    return initial, trained


def walks(edges, live, node, ends):
    """All paths from a node to an output, as lists of edges."""
    found = [[]] if node in ends else []
    for index, (source, target) in enumerate(edges):
        if source == node and live[index]:
            found += [[index, *rest] for rest in walks(edges, live, target, ends)]
    return found


def test_paths_are_counted_as_they_are_walked():
    for one in SMALL.sample(30, torch.Generator().manual_seed(0)):
        live = [choice != 0 for choice in one["cell"]]
        on = list(itertools.chain(*walks(EDGES, live, 0, {3})))
        assert paths(SMALL, "cell", one["cell"], "last") == [on.count(edge) for edge in range(6)]
    for one in TWO.sample(10, torch.Generator().manual_seed(0)):
        live = [choice >= 0 for choice in one["reduce"]]
        edges = TWO.edges["reduce"]
        both = [*walks(edges, live, 0, {2, 3, 4, 5}), *walks(edges, live, 1, {2, 3, 4, 5})]
        on = list(itertools.chain(*both))
        assert paths(TWO, "reduce", one["reduce"], "concat") == [on.count(edge) for edge in range(14)]


def test_the_angle_is_that_between_the_weights_on_all_paths_put_side_by_side():
    initial, trained = networks(SMALL)
    turned = Turned(SMALL, initial, trained)
    vectors = []
    for parent in (initial, trained):
        parts = []
        for number in range(3):  # cells, of 4, 8 and 16 channels
            for path in walks(EDGES, [choice != 0 for choice in EXAMPLE["cell"]], 0, {3}):
                for edge in path:
                    choice = EXAMPLE["cell"][edge]
                    only = torch.zeros(6, 5, dtype=torch.bool)
                    only[edge, choice] = True
                    network = SMALL.build({"cell": only}, searching=True).double()
                    network.inherit(parent)
                    parts += [p.detach().flatten() for p in network.cells[number].operations.parameters()]
                    if choice == 4:
                        parts.append(torch.full((4 * 2**number * 9,), 1 / 9, dtype=torch.float64))
        vectors.append(torch.cat(parts))
    one, other = vectors
    expected = torch.nn.functional.cosine_similarity(one, other, dim=0).arccos()
    torch.testing.assert_close(turned.angles([EXAMPLE])[0], expected)
    assert 0.1 < float(expected) < 0.5


def test_what_has_no_weights_or_has_not_moved_has_the_angle_zero():
    initial, trained = networks(SMALL)
    skips = Architecture.of({"cell": [1] * 6})
    assert Turned(SMALL, initial, trained).angles([skips]).tolist() == [0]
    still = Turned(SMALL, initial, initial).angles(SMALL.sample(5, torch.Generator().manual_seed(0)))
    assert still.abs().max() < 1e-6


def test_weights_of_opposite_sign_have_turned_by_half_a_circle():
    initial, _ = networks(SMALL)
    turned = copy.deepcopy(initial)
    for parameter in turned.parameters():
        parameter.data.neg_()
    one = Architecture.of({"cell": [3] * 6})
    assert float(Turned(SMALL, initial, turned).angles([one])) == pytest.approx(math.pi)


def test_an_operations_score_is_the_mean_angle_of_those_that_have_it():
    architectures = [EXAMPLE, EXAMPLE.replace("cell", 0, 1), EXAMPLE.replace("cell", 5, 2)]
    scores = operation_scores(SMALL, architectures, torch.tensor([1.0, 2.0, 6.0], dtype=torch.float64))["cell"]
    assert float(scores[0, 3]) == 3.5
    assert float(scores[0, 1]) == 2
    assert float(scores[5, 3]) == 1.5
    assert float(scores[1, 1]) == 3
    assert scores[0, 2].isnan()


def test_the_operations_with_the_smallest_angles_go_round_by_round():
    found = Angle(rounds=2, steps=4, drop=0.2, n_archs=60, batch_size=8, lr=0.1)(task())
    left, scores = found.space.allowed["cell"], found.scores["cell"]
    assert int((~left).sum()) == 6 + math.floor(0.2 * 24)
    second = ~left & ~scores.isnan()  # what went in the second round has a score there, what went before has none
    assert int(second.sum()) == 4
    assert int(scores.isnan().sum()) == 6
    assert found.effort.forwards == 8
    assert found.rounds[0].size == 15_625 > found.rounds[1].size
    again = Angle(rounds=2, steps=4, drop=0.2, n_archs=60, batch_size=8, lr=0.1)(task())
    assert torch.equal(again.space.allowed["cell"], left)


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="batch_size is 500, but there are 200 images"):
        Angle(batch_size=500).check(task(NASBench201(channels=4, cells_per_stage=1)))
    with pytest.raises(ValueError, match=r"drop is 0\.7"):
        Angle(drop=0.7)
