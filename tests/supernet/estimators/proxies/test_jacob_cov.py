import math

import numpy as np
import pytest
import torch

from search_spaces.robust_darts import RobustDARTS
from supernet.estimators.proxies.grams import frozen_statistics
from supernet.estimators.proxies.jacob_cov import FrozenJacobCov, JacobCov, jacobian_score
from tests.supernet.estimators.proxies.references import pair
from tests.supernet.estimators.tasks import input_gradients, network, task


def test_it_is_the_published_statistic_of_the_input_gradients():
    network, reference, images, labels = pair()
    inputs = images.clone().requires_grad_()
    reference(inputs).backward(torch.ones(len(images), 10, dtype=torch.float64))
    values = np.linalg.eigvalsh(np.corrcoef(inputs.grad.flatten(1).numpy())).clip(0)
    expected = -np.sum(np.log(values + 1e-5) + 1 / (values + 1e-5))
    assert JacobCov(task(), batch_size=6).measure(network, images, labels) == pytest.approx(expected, rel=1e-6)


def test_independent_reactions_score_highest_and_equal_ones_lowest():
    different = torch.eye(4, dtype=torch.float64) - 0.25  # correlations of -1/3
    best, worst = -4 * (math.log(1 + 1e-5) + 1 / (1 + 1e-5)), jacobian_score(torch.arange(5.0).expand(4, 5))
    orthogonal = torch.tensor([[1.0, -1, 0, 0], [0, 0, 1, -1]])
    assert float(jacobian_score(orthogonal)) == pytest.approx(best / 2)
    assert worst < jacobian_score(different) < best
    # One eigenvalue of 4 and three of 0.
    assert float(worst) == pytest.approx(-(math.log(4) + 0.25 + 3 * (math.log(1e-5) + 1e5)), rel=1e-4)


def test_the_spectrum_is_computed_in_double_precision():
    rows = torch.randn(6, 50, generator=torch.Generator().manual_seed(0)).repeat(2, 1)  # six eigenvalues of zero
    values = np.linalg.eigvalsh(np.corrcoef(rows.double().numpy())).clip(0)
    assert float(jacobian_score(rows)) == pytest.approx(-np.sum(np.log(values + 1e-5) + 1 / (values + 1e-5)), rel=1e-6)


def test_the_caller_keeps_its_images():
    network, _, images, _ = pair()
    assert input_gradients(network, images).shape == (6, 3 * 8 * 8)
    assert not images.requires_grad
    assert images.grad is None


def test_frozen_it_is_that_of_images_one_by_one_with_the_statistics_of_all():
    net, images = network(seed=1).double(), task().samples.batch(6)[0].double()
    frozen_statistics(net, images)
    rows = torch.cat([torch.func.grad(lambda one: net(one).sum())(one[None]) for one in images])
    found = FrozenJacobCov(task(), batch_size=6).measure(network(seed=1).double(), images, images)
    assert found == pytest.approx(float(jacobian_score(rows.flatten(1))), rel=1e-9)


def test_frozen_it_is_no_rounding_error_where_batch_norms_hold_the_sum_of_the_logits_constant():
    space = RobustDARTS("s2", channels=4, layers=3)
    images = task(space).samples.batch(12)[0].double()
    net = network(space, seed=3).double()
    shared = input_gradients(net, images)
    frozen_statistics(net, images)
    assert float(shared.norm()) < 1e-10 * float(input_gradients(net, images).norm())
    one, other = (
        FrozenJacobCov(task(space), batch_size=12).measure(network(space, seed=3).to(kind), images.to(kind), images)
        for kind in (torch.float32, torch.double)
    )
    assert one == pytest.approx(other, rel=1e-3)


@pytest.mark.parametrize("kind", [JacobCov, FrozenJacobCov])
def test_one_image_has_no_correlations(kind):
    with pytest.raises(ValueError, match="batch_size is 1: correlations between images need at least two"):
        kind(task(), batch_size=1)
