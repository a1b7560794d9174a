import pytest
import torch
import torch.nn.functional as F
from torch import nn

from supernet.estimators.proxies.grams import frozen_statistics
from supernet.estimators.proxies.label_alignment import alignment
from supernet.estimators.proxies.layers import weight_gradients
from supernet.estimators.proxies.lga import LGA, descend, label_gradient_alignment
from tests.supernet.estimators.tasks import network, task


def test_without_training_it_is_the_alignment_of_the_kernel_of_all_weights():
    made, (images, labels) = LGA(task(), 24, 22, epochs=0), task().samples.batch(24)
    images = images.double()
    ours = made.measure(network(seed=1).double(), images, labels)
    net = network(seed=1).double()
    frozen_statistics(net, images)
    rows = [
        torch.cat([part.flatten() for part in weight_gradients(net(images[i : i + 1]).sum(), net)]) for i in range(22)
    ]
    kernel = torch.stack(rows) @ torch.stack(rows).T
    same = (labels[:22, None] == labels[None, :22]).double()
    assert ours == pytest.approx(float(alignment(kernel, same)))


def test_classes_that_pull_in_directions_of_their_own_align_fully():
    gradients = torch.tensor([[1.0, 0], [0, 1], [1, 0], [0, 1]])
    assert float(label_gradient_alignment(gradients @ gradients.T, torch.tensor([3, 5, 3, 5]))) == pytest.approx(1)
    assert float(label_gradient_alignment(gradients @ gradients.T, torch.tensor([3, 3, 5, 5]))) == pytest.approx(0)


def test_an_epoch_is_torchs_gradient_descent_over_all_images_in_a_random_order():
    images, labels = task().samples.batch(10)
    ours, theirs = network(seed=1), network(seed=1)
    torch.manual_seed(3)
    descend(ours, images, labels, step_batch=4, lr=0.1)
    torch.manual_seed(3)
    order = torch.randperm(10)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1)
    for chosen in (order[:4], order[4:7], order[7:]):
        optimizer.zero_grad()
        F.cross_entropy(theirs(images[chosen]), labels[chosen]).backward()
        optimizer.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other)


def test_training_on_classes_aligns_the_kernel_with_them():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(40) % 2
    images = torch.randn(40, 6, generator=generator)
    images[:, 0] += 2.0 * (labels * 2 - 1)
    scores = []
    for epochs in (0, 5):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 2))
        scores.append(LGA(task(), 40, 40, epochs=epochs, step_batch=8, lr=0.5).measure(net, images, labels))
    assert scores[1] > scores[0] + 0.1


def test_wrong_arguments_are_refused():
    for arguments, message in (
        ({"epochs": -1}, "epochs is -1: it must be a whole number, at least 0"),
        ({"step_batch": 1}, "step_batch is 1: it must be a whole number, at least 2"),
        ({"lr": 0.0}, "lr is 0.0: it must be above 0"),
    ):
        with pytest.raises(ValueError, match=message):
            LGA(task(), 24, **arguments)
