import pytest
import torch
from torch import nn

from search_spaces.darts import DARTS
from search_spaces.nasbench_macro import NASBenchMacro
from supernet.estimators.proxies.features import features
from supernet.estimators.supernets import Mixed, uniform
from tests.supernet.estimators.tasks import SMALL, Published, network, task


def test_they_are_what_stem_cells_and_reductions_give_one_after_another():
    net, (images, _) = network().eval(), task().samples.batch(3)
    logits, found = features(net, images)
    x = net.stem(images)
    assert torch.equal(found[0], x)
    for layer, feature in zip(net.trunk, found[1:], strict=True):
        x = layer((x,)) if hasattr(layer, "cell_type") else layer(x)
        assert torch.equal(feature, x)
    assert torch.equal(logits, net.head(x))
    assert torch.equal(logits, net(images))


def test_the_network_is_left_without_hooks():
    net, (images, _) = network(), task().samples.batch(3)
    features(net, images)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_published_networks_have_the_same():
    space = DARTS(channels=4, layers=3)
    (architecture,) = space.sample(1, torch.Generator().manual_seed(1))
    net, (images, _) = space.network(architecture).double().train(), task(space).samples.batch(3)
    ours, theirs = (
        features(one, images.double())[1] for one in (net, Published(net, space, architecture).double().train())
    )
    assert len(ours) == 1 + 3
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_gradients_can_be_taken_between_neighbours_through_a_mixture():
    torch.manual_seed(0)
    net, (images, _) = Mixed(SMALL.supernet(), uniform(SMALL.allowed)).train(), task().samples.batch(3)
    logits, found = features(net, images)
    assert [tuple(feature.shape[1:]) for feature in found] == [
        (4, 8, 8), (4, 8, 8), (8, 4, 4), (8, 4, 4), (16, 2, 2), (16, 2, 2),
    ]  # fmt: skip
    for before, after in zip(found, [*found[1:], logits], strict=True):
        (gradient,) = torch.autograd.grad(after.sum(), before, retain_graph=True)
        assert gradient.shape == before.shape


@pytest.mark.parametrize(("text", "count"), [("22122122", 9), ("20101012", 7)])
def test_the_layers_of_one_long_cell_count_each_but_for_identities(text, count):
    space = NASBenchMacro(channels=4)
    torch.manual_seed(0)
    net, (images, _) = space.network(space.parse(text)).eval(), task(space, size=16).samples.batch(3)
    logits, found = features(net, images)
    x = net.stem(images)
    expected = [x]
    for layer, operation in enumerate(net.trunk[0].operations.values()):
        x = operation(x).squeeze(1)
        if text[layer] != "0" or layer in (0, 2, 5):  # there the image is halved
            expected.append(x)
    assert len(expected) == count
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
    for before, after in zip(found, [*found[1:], logits], strict=True):
        assert torch.autograd.grad(after.sum(), before, retain_graph=True)[0].shape == before.shape


def test_a_supernet_of_layers_has_them_all():
    space = NASBenchMacro(channels=4)
    torch.manual_seed(0)
    net = Mixed(space.supernet(), uniform(space.allowed)).train()
    assert len(features(net, task(space, size=16).samples.batch(3)[0])[1]) == 9


def test_a_network_of_another_form_is_refused():
    with pytest.raises(ValueError, match="Linear has no stem and trunk"):
        features(nn.Linear(2, 2), torch.zeros(1, 2))
