"""The networks of published genotypes have the published sizes."""

import pytest
import torch

from search_spaces import published
from search_spaces.darts import DARTS
from search_spaces.network import multiply_adds, parameters

CIFAR10 = DARTS(channels=36, layers=20, auxiliary=True)
CIFAR100 = DARTS(channels=36, layers=20, num_classes=100)
IMAGENET = DARTS(channels=48, layers=14, stem="imagenet", num_classes=1000, auxiliary=True)
# Learnable parameters and millions of multiply-adds (convolutions and linear layers) on CIFAR-10, parameters on
# CIFAR-100, both on ImageNet: analytic counts; rounded they are the published ones.
COUNTS = {
    "darts_v1": (3_169_414, 501.0, 3_221_344, 4_510_432, 505.9),
    "darts_v2": (3_349_342, 528.4, 3_401_272, 4_718_752, 529.9),
    "pdarts": (3_433_798, 532.2, 3_485_728, 4_944_352, 542.8),
    "pc_darts": (3_634_678, 556.7, 3_686_608, 5_270_560, 571.1),
    "pc_darts_imagenet": (3_721_510, 570.5, 3_773_440, 5_342_464, 581.6),
    "drnas": (4_099_294, 635.1, 4_151_224, 5_738_464, 633.8),
    "drnas_imagenet": (4_048_750, 617.9, 4_100_680, 5_726_368, 624.4),
    "milenas": (3_874_222, 607.5, 3_926_152, 5_380_000, 602.4),
    "milenas_small": (3_529_270, 555.7, 3_581_200, 4_927_072, 554.0),
    "milenas_v2": (2_857_942, 458.6, 2_909_872, 4_136_800, 466.2),
    "milenas_gdas": (4_033_198, 635.0, 4_085_128, 5_594_272, 626.8),
    "freedarts": (3_605_518, 566.1, 3_657_448, 5_097_184, 567.6),
}


def test_every_published_name_has_its_counts():
    assert published.DARTS.keys() == COUNTS.keys()


@pytest.mark.parametrize("name", COUNTS)
def test_published_genotypes_have_the_published_numbers_of_parameters(name):
    architecture = CIFAR10.parse(published.DARTS[name])
    assert CIFAR10.contains(architecture)
    allowed = architecture.allowed(CIFAR10.operations)
    with torch.device("meta"):  # shapes are enough
        networks = [space.build(allowed, searching=False) for space in (CIFAR10, CIFAR100, IMAGENET)]
    cifar10, _, cifar100, imagenet, _ = COUNTS[name]
    assert [parameters(network) for network in networks] == [cifar10, cifar100, imagenet]


@pytest.mark.slow
@pytest.mark.parametrize("name", COUNTS)
def test_published_genotypes_have_the_published_numbers_of_multiply_adds(name):
    architecture = CIFAR10.parse(published.DARTS[name])
    assert round(multiply_adds(CIFAR10.network(architecture), (3, 32, 32)) / 1e6, 1) == COUNTS[name][1]
    assert round(multiply_adds(IMAGENET.network(architecture), (3, 224, 224)) / 1e6, 1) == COUNTS[name][4]


@pytest.mark.parametrize("name", COUNTS)
def test_published_genotypes_survive_the_text_form(name):
    space = DARTS(none=name != "drnas")
    architecture = space.parse(published.DARTS[name])
    assert space.parse(space.format(architecture)) == architecture
    assert space.is_valid(architecture)
