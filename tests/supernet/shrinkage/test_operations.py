import pytest
import torch

from search_spaces.darts import DARTS
from supernet.shrinkage.operations import Operations, strongest
from supernet.warm_start.base import CUTTING
from tests.supernet.estimators.tasks import SMALL, task
from tests.supernet.warm_start.planted import Planted, truth

TWO = DARTS(channels=4, layers=3)


class Linear(Planted):
    def measurements(self, architecture):
        return (sum(float(self.truth["cell"][edge, choice]) for edge, choice in enumerate(architecture["cell"])),)


def test_scores_are_the_mean_scores_of_the_architectures_that_have_an_operation():
    outcome = Operations(Linear, n_archs=400, workers=1)(task())
    worth = truth(SMALL)["cell"]
    centred = outcome.scores["cell"] - outcome.scores["cell"].mean(dim=1, keepdim=True)
    assert (centred - worth).abs().max() < 0.8
    assert torch.corrcoef(torch.stack([centred.flatten(), worth.flatten()]))[0, 1] > 0.9
    every = Operations(Linear, n_archs=20_000, workers=1)(task())
    valid = [one for one in SMALL.enumerate() if SMALL.is_valid(one)]
    values = Linear(task()).score(valid)
    for edge, operation in ((0, 1), (3, 4), (5, 0)):
        has = torch.tensor([one["cell"][edge] == operation for one in valid])
        assert float(every.scores["cell"][edge, operation]) == pytest.approx(float(values[has].mean()))


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_best_operations_of_each_edge_stay(keep):
    outcome = Operations(Linear, n_archs=400, keep=keep, workers=1)(task())
    left, scores = outcome.space.allowed["cell"], outcome.scores["cell"]
    assert outcome.space.pool is None
    for edge in range(6):
        best = set(scores[edge].argsort(descending=True)[:keep].tolist())
        extra = set(left[edge].nonzero().flatten().tolist()) - best
        assert best <= set(left[edge].nonzero().flatten().tolist())
        assert not extra or (best == {0} and len(extra) == 1)  # `none` alone gets a companion


def test_an_edge_never_keeps_only_what_ignores_its_input():
    scores = torch.tensor([[5.0, 1.0, 2.0, 4.0, 3.0]]).expand(6, 5)
    assert strongest(SMALL, "cell", scores, 1)[0].tolist() == [True, False, False, True, False]
    assert strongest(SMALL, "cell", scores, 2)[0].tolist() == [True, False, False, True, False]


def test_what_no_architecture_may_choose_stays_and_what_was_never_drawn_goes_first():
    names = TWO.operations["normal"]
    scores = torch.full((14, len(names)), torch.nan)
    scores[:, 3] = 1.0
    table = strongest(TWO, "normal", scores, 1)
    assert table[:, names.index("none")].all()
    assert table[:, 3].all()
    assert int(table.sum()) == 28
    outcome = Operations(Planted, n_archs=30, keep=2, workers=1)(task(TWO))
    live = torch.tensor([name not in CUTTING for name in names])
    assert (outcome.space.candidates("reduce") & live).any(dim=1).all()


def test_alphas_may_start_on_the_side_of_the_scores():
    outcome = Operations(Linear, n_archs=200, keep=3, workers=1, kappa=0.5)(task())
    left = outcome.space.allowed["cell"]
    assert outcome.start["cell"][~left].eq(0).all()
    best = outcome.scores["cell"].masked_fill(~left, -torch.inf).argmax(dim=1)
    assert torch.equal(outcome.start["cell"].argmax(dim=1), best)
