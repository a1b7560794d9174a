import pytest
import torch

from search_spaces.darts import DARTS
from supernet.drawing import to_array
from supernet.warm_start.base import Outcome
from supernet.warm_start.controls import Largest, Random
from supernet.warm_start.picture import draw_outcome
from tests.supernet.estimators.tasks import SMALL, task

TWO = DARTS(channels=4, layers=3)


def crosses(ax):
    """The (edge, operation) of each field that is crossed out."""
    return sorted({(round(sum(line.get_ydata()) / 2), round(sum(line.get_xdata()) / 2)) for line in ax.lines})


@pytest.mark.parametrize("space", [SMALL, TWO], ids=lambda space: space.name)
def test_what_was_dropped_is_crossed_out_and_every_score_is_printed(space):
    outcome = Random()(task(space))
    figure = draw_outcome(space, outcome)
    maps = [ax for ax in figure.axes if ax.images]
    assert len(maps) == len(space.edges)
    for ax, cell in zip(maps, space.edges, strict=True):
        gone = space.allowed[cell] & ~outcome.space.allowed[cell]
        assert crosses(ax) == [(e, o) for e, o in gone.nonzero().tolist()]
        printed = {(round(t.get_position()[1]), round(t.get_position()[0])): t.get_text() for t in ax.texts}
        expected = {
            (e, o): f"{float(outcome.scores[cell][e, o]):.2f}" for e, o in space.candidates(cell).nonzero().tolist()
        }
        assert printed == expected
        assert [tick.get_text().replace("\n", "_") for tick in ax.get_xticklabels()] == list(space.operations[cell])
    assert to_array(figure).shape[2] == 3


def test_without_scores_what_is_left_is_shown():
    pool = SMALL.sample(1, torch.Generator().manual_seed(0))
    allowed = pool[0].allowed(SMALL.operations)
    figure = draw_outcome(SMALL, Outcome(SMALL.restrict(allowed, pool)))
    (ax,) = [ax for ax in figure.axes if ax.images]
    assert len(crosses(ax)) == 24
    assert not ax.texts


def test_scores_that_are_all_positive_or_all_zero_can_be_drawn():
    draw_outcome(SMALL, Largest()(task()))
    draw_outcome(SMALL, Outcome(SMALL, {"cell": torch.zeros(6, 5)}))
    draw_outcome(SMALL, Outcome(SMALL, {"cell": torch.full((6, 5), torch.nan)}))
