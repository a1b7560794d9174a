import pytest
import torch
from torch import nn

from search_spaces.nasbench201 import NASBench201
from search_spaces.operations import Form
from supernet.estimators.one_shot import OneShot, judged, recalibrate
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
    scores = OneShot({"": inherited(supernet)}, lambda: valid, lambda: train).score(architectures)
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
    estimator = OneShot({"": inherited(supernet)}, lambda: valid, lambda: train)
    few = SPACE.sample(5, generator)
    scores = estimator.score(few)
    assert torch.equal(estimator.score(few[::-1]).flip(0), scores)
    assert all(torch.equal(before[name], tensor) for name, tensor in supernet.state_dict().items())


def test_without_images_it_says_so(supernet, generator):
    few = SPACE.sample(1, generator)
    with pytest.raises(ValueError, match="recalibrate"):
        OneShot({"": inherited(supernet)}, lambda: random_batches(1), list).score(few)
    with pytest.raises(ValueError, match="evaluate"):
        OneShot({"": inherited(supernet)}, list, lambda: random_batches(1)).score(few)


def test_an_architecture_that_nothing_reaches_gives_all_images_one_answer(supernet):
    train, valid = random_batches(2), random_batches(6)
    cut = SPACE.parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|none~2|")
    labels = torch.cat([labels for _, labels in valid])
    score = float(OneShot({"": inherited(supernet)}, lambda: valid, lambda: train).score([cut]))
    assert score in [float((labels == label).double().mean()) for label in range(3)]


def test_accuracy_and_loss_are_those_of_all_images_together():
    batches = random_batches(2, 4) + random_batches(1, 3)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 3)).double()
    images, labels = (torch.cat(part) for part in zip(*batches, strict=True))
    with torch.no_grad():
        logits = network(images)
    loss = -sum(float(row.softmax(0)[label].log()) for row, label in zip(logits, labels, strict=True)) / 11
    assert judged(network, batches) == pytest.approx((float((logits.argmax(1) == labels).double().mean()), loss))


def test_several_supernets_are_averaged_and_the_loss_counts_as_less(generator):
    torch.manual_seed(3)
    several = {name: inherited(SPACE.supernet().double()) for name in ("10", "20", "30")}
    train, valid = random_batches(2), random_batches(3)
    few = SPACE.sample(4, generator)
    for metric, sign in (("accuracy", 1), ("loss", -1)):
        made = OneShot(several, lambda: valid, lambda: train, metric)
        assert made.names == ("accuracy_10", "loss_10", "accuracy_20", "loss_20", "accuracy_30", "loss_30")
        alone = [OneShot({"": build}, lambda: valid, lambda: train, metric) for build in several.values()]
        parts = torch.stack([one.score(few) for one in alone], dim=1)
        torch.testing.assert_close(made.score(few), parts.mean(dim=1))
        rows = torch.tensor([made.measurements(one) for one in few], dtype=torch.float64)
        torch.testing.assert_close(made.estimates(rows), parts)
        assert bool((sign * parts > 0).any())


def test_without_recalibration_the_inherited_statistics_judge(supernet, generator):
    for layer in supernet.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(generator=generator)
            layer.running_var.uniform_(0.5, 2, generator=generator)
    valid = random_batches(3)
    (architecture,) = SPACE.sample(1, generator)
    network = inherited(supernet)(architecture).eval()
    expected = judged(network, valid)
    assert OneShot({"": inherited(supernet)}, lambda: valid).measurements(architecture) == expected
    weights = architecture.one_hot(SPACE.operations, torch.float64)
    with torch.no_grad():
        mixed = torch.cat([supernet.eval()(images, weights) for images, _ in valid])
        torch.testing.assert_close(torch.cat([network(images) for images, _ in valid]), mixed)


def test_an_unknown_metric_is_refused():
    with pytest.raises(ValueError, match="metric is 'speed': it must be one of accuracy, loss"):
        OneShot({}, list, None, "speed")
