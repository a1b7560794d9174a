import math

import numpy as np
import pytest
import torch
from torch.func import functional_call

from search_spaces.darts import DARTS
from supernet.estimators.proxies.normalisation import normalised
from supernet.estimators.proxies.vkdnw import VKDNW, VKDNWEntropy, entropy, fisher, jacobian, parameter_tensors
from supernet.estimators.supernets import Mixed, uniform
from tests.supernet.estimators.tasks import SMALL, Published, network, task

DARTS_TEXT = (
    "normal:|dil_conv_5x5~0|dil_conv_5x5~1|+|sep_conv_5x5~1|dil_conv_5x5~2|+|dil_conv_3x3~1|skip_connect~2|+"
    "|dil_conv_5x5~0|avg_pool_3x3~2|;reduce:|max_pool_3x3~0|avg_pool_3x3~1|+|skip_connect~0|dil_conv_3x3~1|+"
    "|dil_conv_3x3~0|dil_conv_5x5~2|+|sep_conv_5x5~2|sep_conv_5x5~4|"
)
TEXT = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|nor_conv_3x3~0|none~1|avg_pool_3x3~2|"


def by_each_image(net, images, names):
    """The derivatives by the first entries of some parameters, image by image through all of autograd."""
    parameters = dict(net.named_parameters())
    found = []
    for image in images:
        firsts = [parameters[name].detach().flatten()[0].clone().requires_grad_() for name in names]
        changed = {}
        for name, value in zip(names, firsts, strict=True):
            flat = parameters[name].detach().flatten()
            changed[name] = torch.cat([value[None], flat[1:]]).reshape(parameters[name].shape)
        logits = functional_call(net, changed, (image[None],))[0]
        rows = [torch.autograd.grad(logit, firsts, retain_graph=True, allow_unused=True) for logit in logits]
        found.append([[0.0 if value is None else float(value) for value in row] for row in rows])
    return torch.tensor(found, dtype=torch.float64)


@pytest.mark.parametrize("space", [SMALL, DARTS(channels=4, layers=3)], ids=["nasbench201", "darts"])
def test_derivatives_are_those_of_published_modules_image_by_image(space):
    torch.manual_seed(0)
    architecture = space.parse(TEXT if space is SMALL else DARTS_TEXT)
    batched = space.network(architecture).double().train()
    for parameter in batched.parameters():  # batch norms too have something to tell
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    reference = Published(batched, space, architecture).double()
    images = task(space).samples.batch(3)[0].double()
    with normalised("identity"):
        ours, logits = jacobian(batched, images, 1000)
        theirs = by_each_image(reference, images, [name for name, _ in reference.named_parameters()])
        torch.testing.assert_close(logits, reference(images).detach())
    assert ours.shape == theirs.shape
    assert parameter_tensors(batched) == parameter_tensors(reference) == theirs.shape[2]
    # The coordinates come in another order, which the spectrum does not depend on.
    order = [torch.argsort(one.abs().sum(dim=(0, 1))) for one in (ours, theirs)]
    torch.testing.assert_close(ours[..., order[0]], theirs[..., order[1]])
    spectra = [torch.linalg.eigvalsh(fisher(one, logits)) for one in (ours, theirs)]
    torch.testing.assert_close(*spectra)


def test_mixing_weights_scale_what_passes_through_their_batch_norm():
    torch.manual_seed(0)
    net = Mixed(SMALL.network(SMALL.parse(TEXT)), {"cell": 0.3 * uniform(SMALL.allowed)["cell"]}).double().train()
    names = [name for name, _ in net.named_parameters() if "0_nor_conv" not in name]  # those that serve one edge
    images = task().samples.batch(2)[0].double()
    with normalised("identity"):
        ours = jacobian(net, images, 1000)[0]
        theirs = by_each_image(net, images, names)
    for column in theirs.unbind(2):
        assert any(torch.allclose(column, own) for own in ours.unbind(2))
    assert any("1_nor_conv_1x1.norm" in name for name in names)


def test_the_fisher_information_is_the_covariance_of_the_scores():
    torch.manual_seed(0)
    jacobians, logits = torch.randn(4, 3, 5, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    expected = torch.zeros(5, 5, dtype=torch.float64)
    for one, row in zip(jacobians, logits, strict=True):
        p = 0.95 * row.softmax(0) + 0.05 / 3
        for label in range(3):  # d log p(label) for a softmax model: the label's row less the mean one
            score = one[label] - p @ one
            expected += p[label] * torch.outer(score, score) / 4
    torch.testing.assert_close(fisher(jacobians, logits), expected)


def test_the_entropy_of_deciles_worked_by_hand():
    assert float(entropy(torch.ones(20))) == pytest.approx(math.log(9))
    eigenvalues = np.arange(11.0)  # the deciles are 1, 2, ..., 9
    shares = np.arange(1.0, 10) / 45
    assert float(entropy(torch.from_numpy(eigenvalues))) == pytest.approx(-(shares * np.log(shares)).sum())
    one_direction = torch.tensor([0.0] * 9 + [1.0])  # the upper decile alone is not zero
    assert float(entropy(one_direction)) == pytest.approx(0, abs=1e-6)


def test_the_first_tensors_are_looked_at():
    net, images = network(), task().samples.batch(2)[0]
    with normalised("identity"):
        everything = jacobian(net, images, 1000)[0]
        some = jacobian(net, images, 7)[0]
    torch.testing.assert_close(some, everything[:, :, :7])


def test_the_score_counts_tensors_and_adds_the_entropy():
    architecture = SMALL.parse(TEXT)
    (single,) = VKDNW(task(), batch_size=4).measurements(architecture)
    (alone,) = VKDNWEntropy(task(), batch_size=4).measurements(architecture)
    assert 0 < alone <= math.log(9)
    # Stem 3, head 4, two reduction blocks of 3 convolutions and 2 batch norms, four convolutions of 3 in three cells.
    assert single - alone == pytest.approx(3 + 4 + 2 * (3 + 4) + 3 * 4 * 3)


def test_no_coordinates_are_refused():
    with pytest.raises(ValueError, match="coordinates is 0"):
        VKDNW(task(), coordinates=0)
