import copy
import functools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from supernet.selection.training import accuracy, brief_accuracy, train
from tests.supernet.searches import SPACE, images


def batches(epoch: int):
    generator = torch.Generator().manual_seed(epoch)
    for _ in range(3):
        yield torch.randn(4, 5, generator=generator), torch.randint(3, (4,), generator=generator)


@pytest.mark.parametrize("clip", [0.0, 0.01])
def test_it_is_plain_descent_with_a_rate_that_follows_the_scheduler(clip):
    network = nn.Linear(5, 3)
    other = copy.deepcopy(network)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.4)
    train(network, batches, optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 2), epochs=2, clip=clip)
    for epoch, rate in enumerate((0.4, 0.2)):  # cos(0) and cos(pi / 2)
        for x, y in batches(epoch):
            grads = torch.autograd.grad(F.cross_entropy(other(x), y), list(other.parameters()))
            norm = torch.cat([grad.flatten() for grad in grads]).norm()
            scale = min(1.0, clip / float(norm)) if clip else 1.0
            with torch.no_grad():
                for parameter, grad in zip(other.parameters(), grads, strict=True):
                    parameter -= rate * scale * grad
    for mine, theirs in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def test_accuracy_is_the_share_of_right_answers_with_running_statistics():
    norm = nn.BatchNorm1d(2)
    norm.running_mean = torch.tensor([10.0, 0.0])
    norm.train()
    images = torch.tensor([[9.0, 0.5], [12.0, 0.0], [11.0, 0.0], [10.0, 3.0]])
    assert accuracy(norm, [(images[:3], torch.tensor([1, 0, 1])), (images[3:], torch.tensor([1]))]) == 0.75
    assert not norm.training


def test_a_brief_training_is_a_function_of_its_seed():
    (architecture,) = SPACE.sample(1, torch.Generator().manual_seed(3))
    sgd = functools.partial(torch.optim.SGD, lr=0.05)
    cosine = functools.partial(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=2)
    one, same = (brief_accuracy(SPACE, architecture, images(), sgd, cosine, 2, 5.0, seed=1) for _ in range(2))
    assert one == same
    assert 0 <= one <= 1
