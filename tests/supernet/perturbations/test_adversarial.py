import pytest
import torch

from supernet.perturbations.adversarial import AdversarialPerturbation

ALLOWED = {"cell": torch.tensor([[True, True, True], [True, False, True]])}
WEIGHTS = {"cell": torch.tensor([[0.4, 0.3, 0.3], [0.5, 0.0, 0.5]], dtype=torch.float64)}
SLOPE = torch.tensor([[1.0, -2.0, 0.5], [-1.0, 3.0, 1.0]], dtype=torch.float64)


def linear(weights):
    return (weights["cell"] * SLOPE).sum()


def test_it_raises_the_loss_and_stays_on_the_simplex_and_within_reach(generator):
    perturbation = AdversarialPerturbation(7, 0.1, 0.1)
    moved = perturbation.perturb(WEIGHTS, ALLOWED, linear, generator)["cell"]
    assert linear({"cell": moved}) > linear(WEIGHTS)
    torch.testing.assert_close(moved.sum(dim=1), torch.ones(2, dtype=torch.float64))
    assert moved[1, 1] == 0
    # of a linear loss the worst point of the box has a closed form: up where the slope rises, down where it falls
    worst = torch.tensor([[0.5, 0.2, 0.4], [0.4, 0.0, 0.6]], dtype=torch.float64)
    torch.testing.assert_close(moved, worst / worst.sum(dim=1, keepdim=True), rtol=0, atol=0.03)


def test_a_point_that_does_not_raise_the_loss_is_thrown_away(generator):
    def peak(weights):  # the mixture itself is the worst there is
        return -(weights["cell"] - WEIGHTS["cell"]).square().sum()

    moved = AdversarialPerturbation(3, 0.2, 0.2).perturb(WEIGHTS, ALLOWED, peak, generator)
    assert torch.equal(moved["cell"], WEIGHTS["cell"])


def test_it_takes_as_many_passes_as_it_says(generator):
    calls = []

    def counted(weights):
        calls.append(weights["cell"].requires_grad)
        return linear(weights)

    AdversarialPerturbation(5).perturb(WEIGHTS, ALLOWED, counted, generator)
    assert calls == [True] * 5 + [False] * 2


def test_no_steps_are_refused():
    with pytest.raises(ValueError, match="steps"):
        AdversarialPerturbation(0)
