import copy
import math

import numpy as np
import pytest
import torch
from hydra.utils import instantiate

from search_spaces.darts import DARTS
from search_spaces.nasbench201 import NASBench201
from search_spaces.robust_darts import RobustDARTS
from supernet import seeds
from supernet.data.sampling import samples
from supernet.estimators.base import Task
from supernet.estimators.proxies.class_contrast import ClassContrast
from supernet.estimators.proxies.grams import frozen_statistics
from supernet.estimators.proxies.jacob_cov import JacobCov
from supernet.estimators.proxies.progressivity import ProgressivityOnImages
from supernet.warm_start.kernel import Kernels, kernels
from supernet.warm_start.passes import counted
from tests.contracts.configurations import composed
from tests.supernet.estimators.tasks import SMALL, input_gradients, network, task

DISCONNECTED = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|nor_conv_3x3~2|"


def architectures(space, count=6):
    drawn = space.sample(60, torch.Generator().manual_seed(1))
    return [one for one in dict.fromkeys(drawn) if space.is_valid(one)][:count]


def one_by_one(network, images, count):
    """J written out: statistics of the whole batch, then a gradient for each image by itself."""
    frozen_statistics(network, images)
    rows = []
    for image in images[:count]:
        alone = image[None].clone().requires_grad_()
        rows.append(torch.autograd.grad(network(alone).sum(), alone)[0].flatten())
    values = np.linalg.eigvalsh(np.corrcoef(torch.stack(rows).numpy())).clip(0)
    return -float((np.log(values + 1e-5) + 1 / (values + 1e-5)).sum())


@pytest.mark.parametrize("space", [SMALL, DARTS(channels=4, layers=3)], ids=["nasbench201", "darts"])
def test_the_numbers_are_those_of_estimators_and_of_a_loop_over_images(space):
    some = task(space)
    shared = Kernels(some, batch_size=24, gram_batch=16)
    contrast = ClassContrast(some, batch_size=24, gram_batch=16)
    growth = ProgressivityOnImages(some, batch_size=24)
    for estimator in (shared, contrast, growth):
        estimator.dtype = torch.float64
        estimator.batch = shared.batch  # of some classes; progressivity would look at all
    for architecture in architectures(space, 2):
        found = shared.measurements(architecture)
        assert found[0] == pytest.approx(contrast.measurements(architecture)[0], rel=1e-9)
        assert found[2] == pytest.approx(growth.measurements(architecture)[0], rel=1e-9)
        torch.manual_seed(seeds.derive(0, seeds.SCORE, 0))
        built = space.network(architecture).double()
        assert found[1] == pytest.approx(one_by_one(built, shared.batch(0)[0], 16), rel=1e-6)
    assert len(shared.names) == 3


def test_where_batch_norms_come_last_the_numbers_are_no_rounding_errors():
    """With a batch norm that images share, the sum of the logits would not depend on any of them."""
    space = RobustDARTS("s2", channels=4, layers=3)
    single, double = (Kernels(task(space, size=16), batch_size=24, gram_batch=16) for _ in range(2))
    double.dtype = torch.float64
    shared = JacobCov(task(space, size=16), batch_size=24)
    for architecture in architectures(space, 2):
        assert single.measurements(architecture) == pytest.approx(double.measurements(architecture), rel=1e-3)
        built = space.network(architecture).double().train()
        images = shared.batch(0)[0].double()
        assert input_gradients(built, images).norm() < 1e-10
        frozen_statistics(built, images)
        assert input_gradients(built, images).norm() > 0.1


def test_two_passes_forward_and_two_back_are_enough():
    images, labels = task().samples.batch(24)
    with counted() as passes:
        kernels(network(), images, labels, 16)
    assert (passes.networks, passes.forwards, passes.backwards) == (1, 2, 2)


def test_the_images_behind_the_first_matter_for_one_number_and_as_statistics():
    images, labels = task().samples.batch(24)
    built = network()
    whole = kernels(copy.deepcopy(built), images, labels, 16)
    mixed = labels.clone()
    mixed[16:] = labels[16:].flip(0)
    assert kernels(copy.deepcopy(built), images, mixed, 16) == whole  # their labels are not looked at
    other = images.clone()
    other[16:] = -other[16:]
    assert all(one != two for one, two in zip(kernels(copy.deepcopy(built), other, labels, 16), whole, strict=True))


def test_together_they_are_the_sum_of_logarithms_of_ranks():
    made = Kernels(task(), batch_size=8, gram_batch=8)
    rows = torch.tensor([[1.0, -60.0, 0.1], [2.0, -90.0, 0.3], [3.0, -70.0, -math.inf]], dtype=torch.float64)
    ranks = torch.tensor([[1, 3, 2], [2, 1, 3], [3, 2, 1]], dtype=torch.float64)
    torch.testing.assert_close(made.combine(rows), (ranks / 3).log().sum(dim=1))


def test_a_disconnected_network_is_worst_in_everything():
    made = Kernels(task(), batch_size=8, gram_batch=8)
    assert made.measurements(SMALL.parse(DISCONNECTED)) == (-math.inf,) * 3
    scores = made.score([SMALL.parse(DISCONNECTED), *architectures(SMALL)])
    assert scores[0] == -math.inf
    assert scores[1:].isfinite().all()


def test_labels_matter_to_the_first_number_alone():
    images, labels = task().samples.batch(24)
    built = network()
    one = kernels(copy.deepcopy(built), images, labels, 24)
    other = kernels(copy.deepcopy(built), images, labels.roll(1), 24)
    assert one[0] != other[0]
    assert one[1:] == other[1:]
    assert Kernels.uses_labels


@pytest.mark.slow
def test_on_handwritten_digits_none_and_pooling_score_low():
    cfg = composed("search", "data=digits", "warm_start=kernel", "warm_start.workers=1", "warm_start.folder=null")
    images = instantiate(cfg.data)
    space = NASBench201(in_channels=images.channels, num_classes=images.num_classes)
    outcome = instantiate(cfg.warm_start)(Task(space, samples(images, 0), 0))
    scores = outcome.scores["cell"]
    places = scores.argsort(dim=1).argsort(dim=1)
    assert (places[:, 0] < 2).sum() >= 4  # `none`
    assert scores[:, 0].mean() < scores[:, 4].mean() < scores[:, 1:4].mean()  # `none`, pooling, the others
    assert outcome.space.allowed["cell"][:, 3].all()
    assert (outcome.effort.forwards, outcome.effort.backwards) == (2 * outcome.effort.networks,) * 2
