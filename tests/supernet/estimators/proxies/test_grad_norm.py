import torch
import torch.nn.functional as F
from torch import nn

from supernet.estimators.proxies.grad_norm import grad_norm
from supernet.estimators.proxies.saliency import loss_gradients
from tests.supernet.estimators.tasks import SMALL, Published, task

TEXT = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|nor_conv_3x3~0|none~1|avg_pool_3x3~2|"


def test_it_is_the_sum_of_the_norms_that_backward_leaves_in_published_modules():
    architecture = SMALL.parse(TEXT)
    network = SMALL.network(architecture).double().train()
    reference = Published(network, SMALL, architecture)
    images, labels = task().samples.batch(6)
    F.cross_entropy(reference(images.double()), labels).backward()
    layers = [module for module in reference.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    expected = sum(layer.weight.grad.norm() for layer in layers if layer.weight.grad is not None)
    torch.testing.assert_close(grad_norm(network, loss_gradients(network, images.double(), labels)), expected)
