import torch
import torch.nn.functional as F
from torch.func import functional_call

from supernet.estimators.proxies.grasp import grasp
from supernet.estimators.proxies.layers import weights
from tests.supernet.estimators.proxies.references import layers, pair


def test_it_is_minus_the_change_of_half_the_gradient_norm_when_all_weights_grow():
    # d/ds 1/2 |g((1 + s) w)|^2 = w . H g
    network, reference, images, labels = pair()
    inside = layers(reference)
    names = [name for name, _ in reference.named_parameters() if name.endswith("weight")]
    state = dict(reference.named_parameters())
    own = [name for name in names if any(state[name] is layer.weight for layer in inside)]

    def half_norm(scale):
        moved = {name: (state[name] * (1 + scale)).detach().requires_grad_() for name in own}
        loss = F.cross_entropy(functional_call(reference, moved, (images,)), labels)
        gradients = torch.autograd.grad(loss, list(moved.values()), allow_unused=True)
        return sum(gradient.square().sum() for gradient in gradients if gradient is not None) / 2

    step = 1e-6
    slope = (half_norm(step) - half_norm(-step)) / (2 * step)
    torch.testing.assert_close(grasp(network, images, labels), -slope, rtol=1e-5, atol=1e-9)
    assert len(own) == len(weights(network)) + 6  # six more where edges share a convolution
