import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from search_spaces.darts import DARTS
from search_spaces.nasbench201 import NASBench201
from supernet.estimators.proxies.knas import KNAS, gradients_of, gram_mean, half_covariance
from supernet.estimators.proxies.layers import weight_gradients
from supernet.estimators.proxies.normalisation import normalised
from supernet.estimators.supernets import Mixed, uniform
from tests.supernet.estimators.tasks import SMALL, Published, network, task

TEXT = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|nor_conv_3x3~0|none~1|avg_pool_3x3~2|"
WIDE = NASBench201(channels=13, cells_per_stage=1)  # its last batch norms have 52 channels


def networks(space, architecture):
    torch.manual_seed(0)
    ours = space.network(architecture).double().train()
    for tensor in ours.parameters():
        if tensor.dim() == 1:
            tensor.data.uniform_(0.5, 1.5)
    return ours, Published(ours, space, architecture).double()


def alone(reference, images, labels):
    """What published code collects: for each image a pass on its own, in training mode."""
    rows = []
    for index in range(len(images)):
        reference.zero_grad()
        F.cross_entropy(reference(images[index : index + 1]), labels[index : index + 1]).backward()
        rows.append({name: None if p.grad is None else p.grad.clone() for name, p in reference.named_parameters()})
    return rows


def test_one_backward_pass_gives_the_mean_of_the_whole_gram_matrix():
    ours, reference = networks(SMALL, SMALL.parse(TEXT))
    images, labels = task().samples.batch(6)
    images = images.double()
    grams = [np.zeros((6, 6)) for _ in weight_gradients(reference(images).sum(), reference)]
    rows = [
        weight_gradients(F.cross_entropy(reference(images[i : i + 1]), labels[i : i + 1]), reference) for i in range(6)
    ]
    for layer, gram in enumerate(grams):
        for i in range(6):
            for j in range(6):
                gram[i, j] = float((rows[i][layer] * rows[j][layer]).sum())
    made = KNAS(task(), batch_size=6)
    (score,) = made.average(lambda: copy.deepcopy(ours))
    assert score == pytest.approx(sum(gram.mean() for gram in grams), rel=1e-4)  # in single precision
    with normalised("instance"):
        assert float(gram_mean(ours, images, labels)) == pytest.approx(sum(gram.mean() for gram in grams))
        mean = float(gram_mean(ours, images, labels, "mean"))
    assert mean == pytest.approx(np.mean([gram.mean() for gram in grams]))


def test_the_papers_form_is_that_of_fifty_coordinates_averaged_over_layers():
    ours, reference = networks(SMALL, SMALL.parse(TEXT))
    images, labels = task().samples.batch(5)
    images = images.double()
    rows = [
        weight_gradients(F.cross_entropy(reference(images[i : i + 1]), labels[i : i + 1]), reference) for i in range(5)
    ]
    means = []
    for gradients in zip(*rows, strict=True):
        cut = torch.stack([gradient.flatten()[:50] for gradient in gradients])
        means.append(float((cut @ cut.T).mean()))
    assert min(len(gradient.flatten()) for gradient in rows[0]) < 50  # shorter ones count as they are
    with normalised("instance"):
        ours_of_mode = KNAS(task(), 5, mode="paper").measure(ours, images, labels)
    assert ours_of_mode == pytest.approx(np.mean(means))


SKIPS = "|skip_connect~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|none~1|avg_pool_3x3~2|"
CASES = [(SMALL, TEXT), (WIDE, SKIPS), (DARTS(channels=18, layers=3), None)]


@pytest.mark.parametrize(("space", "text"), CASES, ids=["convolutions", "wide-norms", "darts"])
def test_the_released_form_is_that_of_its_loop_over_images_tensors_and_coordinates(space, text):
    architecture = space.parse(text) if text else space.sample(1, torch.Generator().manual_seed(1))[0]
    ours, reference = networks(space, architecture)
    images, labels = task(space).samples.batch(6)
    images = images.double()
    rows = alone(reference, images, labels)
    score, used = 0.0, []
    for name, parameter in reference.named_parameters():
        if parameter.numel() < 50 or len(used) == 11:
            continue
        used.append(name)
        for coordinate in range(50):
            values = [0.0 if row[name] is None else float(row[name].flatten()[coordinate]) for row in rows]
            first, second = np.array(values[:3]), np.array(values[3:])
            score += (first - first.mean()) @ (second - second.mean()) / 36
    assert len(used) == 11
    assert any("norm" in name or "stem.1" in name for name in used) == (space is not SMALL)
    with normalised("instance"):
        found = float(half_covariance(ours, images, labels))
    assert found == pytest.approx(score, rel=1e-7)


def test_gradients_of_all_kinds_of_parameters_are_those_of_single_images_and_leave_no_trace():
    net, (images, labels) = network(seed=1).double(), task().samples.batch(3)
    images = images.double()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    names = {name for name, _ in net.named_parameters()}
    with normalised("instance"):
        found = gradients_of(net, names, images, labels)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())
    rows = alone(net, images, labels)
    for name in names:
        expected = torch.stack([row[name] if row[name] is not None else 0 * net.get_parameter(name) for row in rows])
        torch.testing.assert_close(found[name], expected, rtol=1e-8, atol=1e-10)


def test_a_supernet_misses_its_convolutions_more_than_its_skips():
    """Published experience with this score on operations; with the wrong sign it would be the other way round."""
    made = KNAS(task(), batch_size=16, inits=2)

    def without(operation):
        allowed = SMALL.allowed["cell"].clone()
        allowed[:, [SMALL.operations["cell"].index(name) for name in ("none", operation)]] = False
        space = SMALL.restrict({"cell": allowed})
        return made.average(lambda: Mixed(space.supernet(), uniform(space.allowed)))[0]

    assert without("nor_conv_3x3") < without("skip_connect")


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="mode is 'fast': it must be one of exact, paper, released"):
        KNAS(task(), mode="fast")
    with pytest.raises(ValueError, match="reduce is 'max': it must be one of sum, mean"):
        KNAS(task(), reduce="max")
    with pytest.raises(ValueError, match="batch_size is 3: the released form needs at least 4 images"):
        KNAS(task(), batch_size=3, mode="released")
