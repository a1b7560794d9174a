"""The graph network: what it sees, what it minimises, and that it learns."""

import functools

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

from search_spaces.darts import DARTS
from supernet.estimators.features.graph import graphs
from supernet.estimators.features.known import Known
from supernet.estimators.predictors.graph_network import Encoding, GraphNetwork, MessagePassing, Network, pair_hinge
from tests.supernet.estimators.predictors.examples import accuracies, architectures, features
from tests.supernet.estimators.tasks import SMALL, task

SOME = architectures(60)
REST = architectures(120)[60:]
Quick = functools.partial(GraphNetwork, width=16, layers=2, epochs=25, lr=0.01)


def test_the_ranking_loss_is_the_mean_over_pairs():
    scores, targets = torch.tensor([0.0, 0.05, 1.0]), torch.tensor([3.0, 2.0, 2.0])
    # Two pairs have a better one, the first: 0.1 - (0 - 0.05) and 0.1 - (0 - 1).
    assert pair_hinge(scores, targets, 0.1) == pytest.approx((0.15 + 1.1) / 2)
    assert pair_hinge(-scores, targets, 0.0) == 0
    assert pair_hinge(scores, torch.ones(3), 0.1) == 0


def test_messages_flow_along_the_edges_of_the_cell():
    text = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|none~1|avg_pool_3x3~2|"
    labels, flows = Encoding(graphs(SMALL))([SMALL.parse(text)])
    # Edges 01, 02, 12, 03, 13, 23, then the input (6) and the output (7).
    assert {tuple(pair) for pair in flows[0].nonzero().tolist()} == {(6, 0), (0, 2), (2, 5), (5, 7), (6, 3), (3, 7)}
    assert labels[0].tolist() == [5, 2, 3, 4, 2, 6, 7, 8]  # the first two stand for a link and an edge not kept


def test_cells_and_inputs_are_told_apart():
    space = DARTS()
    encoding = Encoding(graphs(space))
    labels, flows = encoding(space.sample(4, torch.Generator().manual_seed(0)))
    assert labels.shape == (4, 2 * (18 + 3))
    assert not flows[:, :21, 21:].any()
    assert not flows[:, 21:, :21].any()
    assert labels[:, :21].max() < labels[:, 21:].min()
    assert labels.max() == encoding.labels - 1
    assert (labels[:, 18:21] == labels[0, 18:21]).all()
    assert len(set(labels[0, 18:21].tolist())) == 3
    assert (flows[:, :21].sum(dim=(1, 2)) > 8).all()


def test_a_layer_is_the_mean_of_neighbours_in_both_directions():
    torch.manual_seed(0)
    layer, x = MessagePassing(3).double(), torch.randn(1, 3, 3, dtype=torch.float64)
    flows = torch.zeros(1, 3, 3, dtype=torch.float64)
    flows[0, 0, 2] = flows[0, 1, 2] = 1  # 0 and 1 before 2
    expected = []
    for vertex, before, after in ((0, [], [2]), (1, [], [2]), (2, [0, 1], [])):
        total = layer.itself(x[0, vertex])
        total = total + (layer.before(x[0, before].mean(dim=0)) if before else 0)
        total = total + (layer.after(x[0, after].mean(dim=0)) if after else 0)
        expected.append(x[0, vertex] + layer.norm(total).relu())
    torch.testing.assert_close(layer(x, flows)[0], torch.stack(expected))


def test_the_order_of_the_vertices_does_not_matter():
    torch.manual_seed(0)
    network = Network(9, 0, 8, 2, 0.0).double()
    labels, flows = Encoding(graphs(SMALL))(SOME[:3])
    order, none = torch.randperm(8), torch.zeros(3, 0, dtype=torch.float64)
    flows = flows.double()
    torch.testing.assert_close(
        network(labels, flows, none), network(labels[:, order], flows[:, order][:, :, order], none)
    )


@pytest.mark.parametrize("loss", ["rank", "mse"])
def test_it_learns_to_rank_what_it_has_not_seen(loss):
    made = Quick(task(), loss=loss).fit(SOME, accuracies(SOME))
    assert kendalltau(made.score(REST).numpy(), accuracies(REST)).statistic > 0.5
    assert made.deviation(REST) is None
    assert made.importances() is None


def test_with_the_squared_error_a_score_is_an_accuracy():
    made = Quick(task(), loss="mse").fit(SOME, accuracies(SOME))
    off = made.score(REST).numpy() - accuracies(REST)
    assert (off**2).mean() < accuracies(REST).var() / 2


def test_a_fit_is_a_function_of_the_seed_and_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    scores = [Quick(task(seed=seed), epochs=2).fit(SOME, accuracies(SOME)).score(REST).tolist() for seed in (0, 0, 1)]
    assert scores[0] == scores[1] != scores[2]
    assert torch.equal(torch.get_rng_state(), before)


def test_features_are_put_beside_the_cells():
    alone = Quick(task(), epochs=2).fit(SOME, accuracies(SOME)).score(REST)
    beside = Quick(task(), features(), epochs=2).fit(SOME, accuracies(SOME)).score(REST)
    assert not torch.equal(alone, beside)


def test_a_feature_that_is_missing_or_constant_breaks_nothing():
    rows = {one: [-np.inf if index % 3 else 1.0, 5.0, -np.inf] for index, one in enumerate(SOME)}
    made = Quick(task(), Known(("some", "constant", "none"), rows), epochs=1)
    assert torch.isfinite(made.fit(SOME, accuracies(SOME)).score(SOME)).all()


@pytest.mark.parametrize(
    "arguments",
    [{"loss": "hinge"}, {"epochs": 0}, {"batch_size": 1}, {"margin": -0.1}, {"dropout": 1.0}, {"width": 0}],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(arguments):
    with pytest.raises(ValueError, match="must be"):
        GraphNetwork(task(), **arguments)
