import pytest
import torch
from torch import nn

from search_spaces.nasbench201 import NASBench201
from search_spaces.operations import Form
from supernet.estimators.one_shot import OneShotAccuracy, recalibrate
from tests.search_spaces.plain import PlainNetwork

SPACE = NASBench201(channels=4, cells_per_stage=1, num_classes=3)


@pytest.fixture
def supernet():
    network = SPACE.supernet().double()
    nn.init.zeros_(network.head[-1].bias)  # answers depend on the image
    return network


def inherited(supernet):
    def build(architecture):
        network = SPACE.build(architecture.allowed(SPACE.operations), searching=True).double()
        network.inherit(supernet)
        return network

    return build


def random_batches(count: int, size: int = 6) -> list:
    return [(3 * torch.randn(size, 3, 8, 8, dtype=torch.float64), torch.randint(3, (size,))) for _ in range(count)]


def test_it_is_the_accuracy_of_a_plain_network_whose_statistics_torch_averages(supernet, generator):
    """Independent reference: a module per edge and operation, torch's own cumulative average (``momentum=None``)."""
    train, valid = random_batches(3), [*random_batches(4), *random_batches(1, 5)]
    architectures = [SPACE.sample(1, generator)[0] for _ in range(4)]
    expected = []
    for architecture in architectures:
        plain = PlainNetwork(supernet, SPACE, Form(affine=False))
        weights = architecture.one_hot(SPACE.operations, torch.float64)
        for layer in plain.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.reset_running_stats()
                layer.momentum = None
        with torch.no_grad():
            for images, _ in train:
                plain.train()(images, weights)
            right = sum(int((plain.eval()(images, weights).argmax(1) == labels).sum()) for images, labels in valid)
        expected.append(right / 29)
    scores = OneShotAccuracy(inherited(supernet), lambda: train, lambda: valid).score(architectures)
    assert scores.dtype == torch.float64
    assert scores.tolist() == pytest.approx(expected, abs=1e-12)
    assert len(set(expected)) > 1


def test_recalibrated_statistics_are_the_mean_of_those_of_the_batches():
    network = nn.Sequential(nn.Conv2d(3, 5, 1), nn.BatchNorm2d(5, momentum=0.3)).double()
    network[1].running_mean.fill_(7.0)
    network[1].running_var.fill_(7.0)
    batches = [images for images, _ in random_batches(4)]
    recalibrate(network, iter(batches))
    with torch.no_grad():
        maps = [network[0](images).transpose(0, 1).flatten(1) for images in batches]
    torch.testing.assert_close(network[1].running_mean, torch.stack([m.mean(1) for m in maps]).mean(0))
    torch.testing.assert_close(network[1].running_var, torch.stack([m.var(1) for m in maps]).mean(0))
    assert network[1].momentum == 0.3
    assert not network.training


def test_the_supernet_stays_as_it_is_and_scores_do_not_depend_on_what_was_scored_before(supernet, generator):
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    train, valid = random_batches(2), random_batches(3)
    estimator = OneShotAccuracy(inherited(supernet), lambda: train, lambda: valid)
    few = SPACE.sample(5, generator)
    scores = estimator.score(few)
    assert torch.equal(estimator.score(few[::-1]).flip(0), scores)
    assert all(torch.equal(before[name], tensor) for name, tensor in supernet.state_dict().items())


def test_without_images_it_says_so(supernet, generator):
    few = SPACE.sample(1, generator)
    with pytest.raises(ValueError, match="recalibrate"):
        OneShotAccuracy(inherited(supernet), list, lambda: random_batches(1)).score(few)
    with pytest.raises(ValueError, match="evaluate"):
        OneShotAccuracy(inherited(supernet), lambda: random_batches(1), list).score(few)


def test_an_architecture_that_nothing_reaches_gives_all_images_one_answer(supernet):
    train, valid = random_batches(2), random_batches(6)
    cut = SPACE.parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|none~2|")
    labels = torch.cat([labels for _, labels in valid])
    score = float(OneShotAccuracy(inherited(supernet), lambda: train, lambda: valid).score([cut]))
    assert score in [float((labels == label).double().mean()) for label in range(3)]
