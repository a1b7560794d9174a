import torch
import torch.nn.functional as F

from supernet.estimators.proxies.layers import layers, per_edge, weight_gradients, weights
from tests.supernet.estimators.tasks import SMALL, Published, task

TEXT = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|nor_conv_3x3~0|none~1|avg_pool_3x3~2|"


def test_each_edge_has_its_own_layer_with_the_gradient_of_a_module_of_its_own():
    architecture = SMALL.parse(TEXT)
    network = SMALL.network(architecture).double().train()
    reference = Published(network, SMALL, architecture)
    images, labels = task().samples.batch(5)
    images = images.double()
    ours = per_edge(network, weight_gradients(F.cross_entropy(network(images), labels), network))
    theirs = weight_gradients(F.cross_entropy(reference(images), labels), reference)
    assert len(ours) == len(theirs) == 1 + 3 * 4 + 2 * 3 + 1  # stem, cells, reduction blocks, head
    assert sorted(tuple(part.shape) for part in ours) == sorted(tuple(part.shape) for part in theirs)
    norms = [torch.stack([part.norm() for part in parts]).sort().values for parts in (ours, theirs)]
    torch.testing.assert_close(*norms)


def test_layers_without_influence_have_a_zero_gradient():
    # What enters node 1 leads nowhere.
    network = SMALL.network(SMALL.parse("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")).train()
    gradients = weight_gradients(network(task().samples.batch(2)[0]).sum(), network)
    dangling = [layer.name for layer in layers(network) if "nor_conv" in layer.name]
    assert len(dangling) == 3
    for layer, gradient, weight in zip(layers(network), gradients, weights(network), strict=True):
        assert gradient.shape == weight.shape
        assert (layer.name in dangling) == bool((gradient == 0).all())
