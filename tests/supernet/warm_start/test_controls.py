import pytest
import torch

from search_spaces.darts import DARTS
from search_spaces.nasbench201 import NASBench201
from search_spaces.robust_darts import RobustDARTS
from supernet.warm_start.controls import Largest, Random, Rule
from tests.supernet.estimators.tasks import SMALL, task

TWO = DARTS(channels=4, layers=3)


def kept(space, cell="cell"):
    return [[space.operations[cell][o] for o in row.nonzero().flatten().tolist()] for row in space.allowed[cell]]


def test_random_scores_are_a_function_of_the_seed_and_drop_a_third():
    one, same, other = (Random()(task(seed=seed)).space.allowed["cell"] for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert int((~one).sum()) == 10
    drops = torch.stack([~Random()(task(seed=seed)).space.allowed["cell"] for seed in range(300)]).float().mean(dim=0)
    assert (drops - 1 / 3).abs().max() < 0.1  # no operation is preferred


def test_the_largest_operation_of_every_edge_is_kept():
    assert kept(Largest()(task()).space) == [["nor_conv_3x3"]] * 6
    assert kept(Largest(keep=2)(task()).space) == [["nor_conv_1x1", "nor_conv_3x3"]] * 6
    assert kept(Largest()(task(TWO)).space, "reduce") == [["sep_conv_5x5"]] * 14


def test_of_equally_large_ones_the_first_that_passes_its_input_on_is_kept():
    allowed = SMALL.allowed["cell"].clone()
    allowed[0] = torch.tensor([True, False, False, False, True])
    smaller = SMALL.restrict({"cell": allowed})
    assert kept(Largest()(task(smaller)).space)[0] == ["avg_pool_3x3"]
    assert kept(Largest(keep=3)(task()).space)[1] == ["skip_connect", "nor_conv_1x1", "nor_conv_3x3"]


def test_the_rule_leaves_no_none_and_no_pooling():
    rest = ["skip_connect", "nor_conv_1x1", "nor_conv_3x3"]
    assert kept(Rule()(task()).space) == [rest] * 6
    convolutions = ["sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"]
    assert kept(Rule()(task(TWO)).space, "normal") == [["none", "skip_connect", *convolutions]] * 14


def test_the_rule_leaves_an_edge_its_choice():
    space = RobustDARTS("s1", channels=4, layers=3)
    found, pooling = kept(Rule()(task(space)).space, "reduce"), kept(space, "reduce")
    assert found == pooling  # two operations an edge: none can go
    found = kept(Rule(min_ops=1)(task(space)).space, "reduce")
    assert found[1] == ["dil_conv_3x3"]
    assert found[0] == ["max_pool_3x3", "avg_pool_3x3"]  # not both


def test_the_rule_leaves_no_edge_without_input():
    names = SMALL.operations["cell"]
    found = Rule(operations=[name for name in names if name != "none"], min_ops=1)(task())
    assert kept(found.space) == [list(names)] * 6


def test_the_rule_has_names_of_its_own():
    outcome = Rule(operations=["nor_conv_1x1", "conv_of_another_space"])(task())
    assert all("nor_conv_1x1" not in row and len(row) == 4 for row in kept(outcome.space))
    assert outcome.scores["cell"][0].tolist() == [1, 1, 0, 1, 1]


@pytest.mark.parametrize("control", [Random(), Largest(), Rule()], ids=lambda one: type(one).__name__)
def test_no_network_is_looked_at(control):
    effort = control(task(NASBench201())).effort
    assert (effort.networks, effort.forwards, effort.backwards) == (0, 0, 0)


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="keep"):
        Largest(0)
    with pytest.raises(ValueError, match="min_ops"):
        Rule(min_ops=0)
