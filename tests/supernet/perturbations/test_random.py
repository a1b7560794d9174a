import pytest
import torch

from supernet.perturbations.random import RandomPerturbation

ALLOWED = {"cell": torch.ones(2000, 4, dtype=torch.bool)}
WEIGHTS = {"cell": torch.full((2000, 4), 0.25, dtype=torch.float64)}


def never(weights):
    raise AssertionError("random smoothing needs no pass")


def test_the_mixture_moves_within_the_box_uniformly_and_stays_on_the_simplex(generator):
    perturbation = RandomPerturbation(0.1, 0.1)
    moved = perturbation.perturb(WEIGHTS, ALLOWED, never, generator)["cell"]
    torch.testing.assert_close(moved.sum(dim=1), torch.ones(2000, dtype=torch.float64))
    assert (moved - 0.25).mean().abs() < 1e-9
    # before its row is normalised an entry is U(0.15, 0.35); the sum of a row is one on average
    assert moved.std() == pytest.approx(0.1 / 3**0.5 * (3 / 4) ** 0.5, rel=0.05)


def test_without_a_box_nothing_moves_and_equal_seeds_move_equally():
    still = RandomPerturbation(0.0, 0.0).perturb(WEIGHTS, ALLOWED, never, torch.Generator().manual_seed(1))
    torch.testing.assert_close(still["cell"], WEIGHTS["cell"])
    one, other = (
        RandomPerturbation().perturb(WEIGHTS, ALLOWED, never, torch.Generator().manual_seed(1)) for _ in range(2)
    )
    assert torch.equal(one["cell"], other["cell"])
