import functools

import pytest
import torch

from search_spaces.robust_darts import RobustDARTS
from supernet.estimators.cost import Cost
from supernet.estimators.proxies.base import Proxy
from supernet.warm_start.removal import Removal, mean_ranks
from tests.supernet.estimators.tasks import SMALL, task
from tests.supernet.warm_start.planted import truth


class Weighed(Proxy):
    """The sum of what operations are worth, weighed as the supernet mixes them; a little noise from the weights."""

    def __init__(self, task, noise=0.0):
        super().__init__(task, batch_size=2)
        self.noise = noise

    def measure(self, network, images, labels):
        worth = sum(float((table * network.weights[cell]).nansum()) for cell, table in truth(self.task.space).items())
        return (
            worth
            + self.noise * float(network.network.stem[0].weight.detach()[0, 0, 0, 0])
            + self.noise * float(images.sum())
        )


@pytest.mark.parametrize("space", [SMALL, RobustDARTS("s3", channels=4, layers=3)], ids=lambda space: space.name)
def test_what_is_worth_most_is_missed_most(space):
    outcome = Removal(Weighed, n_seeds=1, channels=4, min_ops=1)(task(space))
    for cell, table in truth(space).items():
        for edge, candidates in enumerate(space.candidates(cell)):
            found = outcome.scores[cell][edge]
            assert torch.equal(found.isnan(), ~candidates)
            assert torch.equal(found[candidates].argsort(), table[edge, candidates].argsort())


def test_without_an_operation_the_edge_mixes_the_others_alike():
    seen = []

    class Seen(Weighed):
        def measure(self, network, images, labels):
            seen.append(network.weights["cell"].clone())
            return super().measure(network, images, labels)

    Removal(Seen, n_seeds=1, channels=4)(task())
    whole, *parts = seen
    assert torch.equal(whole, torch.full((6, 5), 0.2))
    assert len(parts) == 30
    for (edge, operation), table in zip(((e, o) for e in range(6) for o in range(5)), parts, strict=True):
        expected = torch.full((6, 5), 0.2)
        expected[edge] = 0.25
        expected[edge, operation] = 0.0
        torch.testing.assert_close(table, expected)


def test_all_supernets_of_a_seed_have_the_same_weights_and_images_and_other_seeds_have_others():
    seen = []

    class Seen(Weighed):
        def measure(self, network, images, labels):
            seen.append((float(network.network.stem[0].weight.detach().sum()), float(images.sum())))
            return super().measure(network, images, labels)

    Removal(Seen, n_seeds=3, channels=4)(task())
    assert len(seen) == 3 * 31
    assert len(set(seen)) == 3
    assert len({weights for weights, _ in seen}) == len({images for _, images in seen}) == 3


def test_noise_that_a_seed_shares_does_not_matter():
    quiet, noisy = (
        Removal(functools.partial(Weighed, noise=noise), n_seeds=3, channels=4)(task()) for noise in (0.0, 5.0)
    )
    torch.testing.assert_close(quiet.scores["cell"], noisy.scores["cell"])


def test_ranks_are_averaged_and_not_values():
    losses = torch.tensor([[1.0, 2.0, 3.0, 4.0], [4000.0, 1.0, 2.0, 3.0]])
    torch.testing.assert_close(mean_ranks(losses), torch.tensor([2.5, 1.5, 2.5, 3.5], dtype=torch.float64) / 4)
    assert mean_ranks(torch.tensor([[torch.nan, 1.0, torch.inf]])).tolist() == pytest.approx([1 / 3, 2 / 3, 1.0])


def test_an_edge_without_a_choice_is_not_scored():
    allowed = SMALL.allowed["cell"].clone()
    allowed[3, :4] = False
    outcome = Removal(Weighed, n_seeds=1, channels=4)(task(SMALL.restrict({"cell": allowed})))
    assert outcome.scores["cell"][3].isnan().all()
    assert outcome.space.allowed["cell"][3].tolist() == [False, False, False, False, True]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="Cost cannot look at a supernet"):
        Removal(functools.partial(Cost, unit="parameters")).check(task())
    with pytest.raises(ValueError, match="n_seeds"):
        Removal(Weighed, n_seeds=0)
