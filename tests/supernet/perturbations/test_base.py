import torch

from supernet.perturbations.base import project
from supernet.perturbations.random import RandomPerturbation


def test_projection_clips_masks_and_normalises_rows():
    weights = torch.tensor([[0.5, -0.2, 1.5], [0.2, 0.2, 0.1]], dtype=torch.float64)
    allowed = torch.tensor([[True, True, True], [True, False, True]])
    expected = torch.tensor([[0.5 / 1.5, 0.0, 1 / 1.5], [2 / 3, 0.0, 1 / 3]], dtype=torch.float64)
    torch.testing.assert_close(project(weights, allowed), expected)


def test_a_row_of_which_nothing_is_left_keeps_its_largest_entry():
    weights = torch.tensor([[-0.2, -0.1, -0.3]])
    assert project(weights, torch.ones(1, 3, dtype=torch.bool)).tolist() == [[0.0, 1.0, 0.0]]
    assert project(weights, torch.tensor([[True, False, True]])).tolist() == [[1.0, 0.0, 0.0]]
    assert project(weights, torch.zeros(1, 3, dtype=torch.bool)).tolist() == [[0.0, 0.0, 0.0]]


def test_the_box_grows_linearly():
    perturbation = RandomPerturbation(0.03, 0.3)
    for progress, epsilon in ((0.0, 0.03), (0.5, 0.165), (1.0, 0.3)):
        perturbation.anneal(progress)
        assert abs(perturbation.epsilon - epsilon) < 1e-12
