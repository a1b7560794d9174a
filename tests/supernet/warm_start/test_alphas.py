import pytest
import torch

from search_spaces.nasbench201 import NASBench201
from supernet.warm_start.alphas import check_kappa, from_scores, starting_alphas
from tests.contracts.configurations import build, names

SPACE = NASBench201()


def smaller():
    allowed = SPACE.allowed["cell"].clone()
    allowed[0, 1] = allowed[2, [0, 4]] = False
    return SPACE.restrict({"cell": allowed})


def test_logits_are_damped_scores_with_mean_zero_and_deviation_kappa_on_every_edge(generator):
    space, scores = smaller(), torch.randn(6, 5, generator=generator, dtype=torch.float64)
    logits = from_scores({"cell": scores}, space, 0.5)["cell"]
    for edge, allowed in enumerate(space.allowed["cell"]):
        left = scores[edge, allowed]
        z = (left - left.mean()) / left.std(correction=0)
        torch.testing.assert_close(logits[edge, allowed], 0.5 * z)
        assert logits[edge, ~allowed].abs().sum() == 0


def test_equal_scores_and_those_that_are_missing_leave_the_usual_start():
    scores = torch.ones(6, 5)
    scores[1] = torch.nan
    scores[2, 0] = torch.nan
    scores[2, 1] = 3.0
    logits = from_scores({"cell": scores}, SPACE, 0.5)["cell"]
    assert logits[:2].abs().sum() == logits[2, 0] == 0
    assert logits[2, 1] > 0 > logits[2, 2]


@pytest.mark.parametrize("name", names("relaxation"))
def test_the_mean_mixture_is_the_softmax_of_the_logits_over_what_is_left(name, generator):
    relaxation, space = build("relaxation", name), smaller()
    allowed = space.allowed["cell"]
    logits = torch.randn(6, 5, generator=generator, dtype=torch.float64)
    alphas = starting_alphas(relaxation, {"cell": logits}, space.allowed)["cell"]
    assert alphas.dtype == torch.float32
    assert alphas[~allowed].abs().sum() == 0
    if not relaxation.learns:
        assert alphas.abs().sum() == 0
        return
    mixture = relaxation.mean(alphas, allowed).double()
    if relaxation.rows_sum_to_one:
        torch.testing.assert_close(
            mixture, logits.masked_fill(~allowed, -torch.inf).softmax(dim=1), rtol=1e-5, atol=1e-6
        )
    else:
        torch.testing.assert_close(mixture, logits.sigmoid() * allowed, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", names("relaxation"))
def test_logits_of_zero_are_where_searches_usually_start(name):
    relaxation, space = build("relaxation", name), smaller()
    alphas = starting_alphas(relaxation, {"cell": torch.zeros(6, 5)}, space.allowed)["cell"]
    assert alphas.abs().max() < 1e-6


def test_a_start_that_is_not_damped_is_refused():
    for kappa in (-0.1, 0.51):
        with pytest.raises(ValueError, match="kappa"):
            check_kappa(kappa)
    check_kappa(0.5)


def test_scores_that_are_equal_but_for_rounding_move_nothing():
    scores = {"cell": torch.full((6, 5), 0.1, dtype=torch.float64)}
    scores["cell"][0, 0] += 1e-16
    assert not from_scores(scores, NASBench201(), 0.5)["cell"].any()
