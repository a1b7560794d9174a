import functools
import itertools
import math

import pytest
import torch

from supernet.estimators.cost import Cost
from supernet.estimators.features.measured import Measurements
from supernet.estimators.proxies.epe_nas import EPENAS
from supernet.estimators.proxies.expressivity import Expressivity
from supernet.estimators.proxies.grad_norm import GradNorm
from supernet.estimators.proxies.jacob_cov import JacobCov
from supernet.estimators.proxies.naswot import NASWOT
from supernet.estimators.proxies.one_pass import OnePass, Pass, together
from supernet.estimators.proxies.plain import Plain
from supernet.estimators.proxies.progressivity import Progressivity, ProgressivityOnImages
from supernet.estimators.proxies.saliency import loss_gradients
from supernet.estimators.proxies.snip import SNIP
from supernet.estimators.proxies.trainability import Trainability
from supernet.warm_start.passes import counted
from tests.supernet.estimators.tasks import SMALL, input_gradients, network, task

TEXT = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|nor_conv_3x3~0|none~1|avg_pool_3x3~2|"
OF_IMAGES = (JacobCov, EPENAS, SNIP, GradNorm, Plain, ProgressivityOnImages)
OF_NOISE = (Expressivity, Trainability, Progressivity)
ALL = (*OF_IMAGES, *OF_NOISE)
TASK = task()


def made(kinds, **settings):
    return [kind(TASK, batch_size=20, **settings) for kind in kinds]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_scores_that_share_a_pass_are_bit_for_bit_what_they_are_alone(dtype):
    parts = made(ALL, inits=2, batches=2)
    for part in parts:
        part.dtype = dtype
    for architecture in (SMALL.parse(TEXT), *SMALL.sample(2, torch.Generator().manual_seed(0))):
        alone = [value for part in parts for value in part.measurements(architecture)]
        assert list(together(parts, architecture)) == alone


def test_the_order_of_the_parts_does_not_matter_although_one_draws_random_numbers():
    found = [
        dict(zip(kinds, together(made(kinds), SMALL.parse(TEXT)), strict=True))
        for kinds in itertools.permutations(OF_NOISE)
    ]
    assert all(one == found[0] for one in found)


@pytest.mark.parametrize(
    ("kinds", "forwards", "backwards"), [(OF_IMAGES, 1, 2), (OF_NOISE[::2], 1, 0), (ALL[:2], 1, 1), (ALL[2:5], 1, 1)]
)
def test_one_pass_forward_and_one_back_of_each_kind_are_enough(kinds, forwards, backwards):
    parts = made(kinds)
    with counted() as passes:
        together(parts, SMALL.parse(TEXT))
    assert (passes.networks, passes.forwards, passes.backwards) == (1, forwards, backwards)


@pytest.mark.parametrize(("settings", "forwards"), [({"batch_size": 24}, 2), ({"batches": 2}, 3), ({"inits": 2}, 3)])
def test_what_looks_under_other_conditions_has_passes_of_its_own(settings, forwards):
    parts = [JacobCov(TASK, **{"batch_size": 20} | settings), SNIP(TASK, batch_size=20)]
    with counted() as passes:
        found = together(parts, SMALL.parse(TEXT))
    assert passes.forwards == forwards
    assert list(found) == [part.measurements(SMALL.parse(TEXT))[0] for part in parts]


def test_other_estimators_stay_where_they_stand():
    parts = [NASWOT(TASK, batch_size=8), *made([SNIP]), Cost(TASK, "parameters"), *made([JacobCov])]
    expected = [part.measurements(SMALL.parse(TEXT))[0] for part in parts]
    assert list(together(parts, SMALL.parse(TEXT))) == expected
    kinds = {kind.__name__: functools.partial(kind, batch_size=20) for kind in OF_IMAGES}
    with counted() as passes:
        Measurements(TASK, kinds).table([SMALL.parse(TEXT)])
    assert passes.forwards == 1


def test_an_architecture_without_a_path_scores_minus_infinity():
    nothing = SMALL.parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    assert together(made(ALL), nothing) == (-math.inf,) * len(ALL)


def test_a_pass_gives_what_separate_passes_give_in_either_order():
    net, (images, labels) = network(seed=1).double(), TASK.samples.batch(6)
    images = images.double()
    for first, second in itertools.permutations(("input_gradients", "loss_gradients")):
        seen = Pass(net, images, labels, frozenset({"input_gradients", "loss_gradients"}))
        found = {name: getattr(seen, name) for name in (first, second)}
        torch.testing.assert_close(found["input_gradients"], input_gradients(net, images), rtol=0, atol=0)
        torch.testing.assert_close(found["loss_gradients"], loss_gradients(net, images, labels), rtol=0, atol=0)
    assert not images.requires_grad


def test_those_that_share_keep_the_batch_and_the_network_of_all_proxies():
    assert all(issubclass(kind, OnePass) for kind in ALL)
    for kind in ALL:
        assert not {"batch", "part", "average", "measure", "measurements"} & set(vars(kind))
