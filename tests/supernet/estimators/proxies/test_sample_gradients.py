import pytest
import torch
import torch.nn.functional as F
from torch import nn

from search_spaces.nasbench_macro import NASBenchMacro
from supernet.estimators.proxies.layers import per_edge, weight_gradients
from supernet.estimators.proxies.normalisation import normalised
from supernet.estimators.proxies.sample_gradients import logit_sums, losses, passages
from tests.supernet.estimators.tasks import SMALL, network, task


@pytest.mark.parametrize("space", [SMALL, NASBenchMacro(channels=4)], ids=["nasbench201", "nasbench_macro"])
def test_gradients_with_statistics_of_each_image_are_those_of_batches_of_one_in_training(space):
    net, (images, labels) = network(space, seed=1).double(), task(space, size=16).samples.batch(3)
    images = images.double()
    with normalised("instance"):
        found = []
        for layer, passage in passages(net, images, losses(labels)):
            assert passage is not None
            found += [part.detach() for part in passage.weight_gradients().unbind(1)]
            assert len(passage.weight_gradients()[0]) == layer.copies
    for index in range(3):
        loss = F.cross_entropy(net(images[index : index + 1]), labels[index : index + 1])
        alone = per_edge(net, weight_gradients(loss, net))
        for ours, theirs in zip(found, alone, strict=True):
            torch.testing.assert_close(ours[index], theirs.flatten(), rtol=1e-8, atol=1e-10)


def test_a_layer_without_influence_has_none():
    class TwoHeads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused, self.untouched = nn.Linear(3, 2), nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x):
            self.unused(x)
            return self.used(x)

    found = {layer.name: passage for layer, passage in passages(TwoHeads(), torch.ones(2, 3), logit_sums)}
    assert found["unused"] is None
    assert found["untouched"] is None
    # d (sum of logits) / dW is the input, once for each logit
    torch.testing.assert_close(found["used"].weight_gradients(), torch.ones(2, 1, 6))


def test_the_scalars_are_cross_entropy_and_the_sum_of_logits():
    logits = torch.tensor([[0.0, 0.0], [1.0, 3.0]])
    torch.testing.assert_close(logit_sums(logits), torch.tensor([0.0, 4.0]))
    expected = torch.tensor([2.0, 1 + torch.e**2]).log()  # log(1 + 1), log(1 + e^(3 - 1))
    torch.testing.assert_close(losses(torch.tensor([0, 0]))(logits), expected)


def test_a_layer_that_is_used_twice_is_refused():
    layer = nn.Linear(4, 4)
    with pytest.raises(ValueError, match="0 is used twice in a pass"):
        list(passages(nn.Sequential(layer, nn.ReLU(), layer), torch.randn(2, 4), logit_sums))
