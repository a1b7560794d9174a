import pytest
import torch

from search_spaces.darts import DARTS
from search_spaces.robust_darts import RobustDARTS
from supernet.estimators.proxies.ntk_condition import NTKCondition, condition_number, tangent_kernel
from supernet.estimators.supernets import Mixed, uniform
from tests.supernet.estimators.tasks import SMALL, Published, network, task

TEXT = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|nor_conv_3x3~0|none~1|avg_pool_3x3~2|"


def test_the_kernel_is_that_of_a_backward_pass_for_each_image_through_published_modules():
    architecture = SMALL.parse(TEXT)
    torch.manual_seed(0)
    net = SMALL.network(architecture).double().train()
    reference, images = Published(net, SMALL, architecture).double(), task().samples.batch(4)[0].double()
    rows, logits = [], reference(images)
    for index in range(4):
        reference.zero_grad()
        logits[index].backward(torch.ones(10, dtype=torch.float64), retain_graph=True)
        found = [
            p.grad.flatten() for name, p in reference.named_parameters() if "weight" in name and p.grad is not None
        ]
        rows.append(torch.cat(found))
    expected = torch.stack(rows) @ torch.stack(rows).T
    torch.testing.assert_close(tangent_kernel(net, images), expected)


def test_batch_norm_couples_the_images():
    """The gradient of an image's logits depends on its company, which a loop over single images would not see."""
    images = task().samples.batch(6)[0].double()
    some, more = (tangent_kernel(network(seed=1).double(), images[:count])[:4, :4] for count in (4, 6))
    assert not torch.allclose(some, more)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1.0, 2.0, 5.0], 5), ([1e-9, 1.0, 1.0], 1e5), ([0.0, 1.0, 1.0], 1e5), ([-1e-9, 1.0, 2.0], 1e5),
     ([float("nan"), 1.0, 1.0], 1e5), ([float("inf"), 1.0, 1.0], 1e5)],
)  # fmt: skip
def test_it_is_the_ratio_of_the_extreme_eigenvalues_within_bounds(values, expected):
    assert condition_number(torch.diag(torch.tensor(values))) == pytest.approx(expected)


@pytest.mark.parametrize("space", [DARTS(), RobustDARTS(variant="s2")], ids=["darts", "robust_darts"])
def test_a_sum_that_batch_norms_hold_constant_is_left_out(space):
    """All operations of these supernets end in a batch norm, whose mean over images and pixels is zero."""
    thin = space.thin(2)
    torch.manual_seed(0)
    net = Mixed(thin.supernet(), uniform(thin.allowed)).double().train()
    kernel = tangent_kernel(net, task(thin, size=16).samples.batch(4)[0].double())
    sums = torch.ones(4, 4, dtype=torch.float64) / 4
    assert float((sums @ kernel).norm() / kernel.norm()) < 1e-12
    rest = torch.linalg.eigvalsh(kernel + sums * kernel.trace())[:3]  # the sum is the largest now
    assert condition_number(kernel, of_supernet=True) == pytest.approx(float(rest[2] / rest[0]))
    made, images = NTKCondition(task(thin, size=16), batch_size=4, channels=None), task(thin, size=16).samples.batch(4)
    assert made.measure(net, images[0].double(), images[1]) == pytest.approx(-float(rest[2] / rest[0]))
    noisy = kernel + 1e-11 * kernel.trace() * torch.diag(torch.tensor([1.0, -1, 1, -1], dtype=torch.float64))
    assert condition_number(noisy, of_supernet=True) == pytest.approx(float(rest[2] / rest[0]), rel=1e-6)
    assert condition_number(kernel) == condition_number(noisy) == 1e5  # of an architecture, which others do better than


def test_one_image_has_an_even_spectrum_and_equal_images_have_not():
    for of_supernet in (False, True):
        assert condition_number(torch.ones(1, 1), of_supernet) == 1
        assert (
            condition_number(torch.ones(3, 3), of_supernet) == condition_number(torch.zeros(3, 3), of_supernet) == 1e5
        )


def test_the_score_is_higher_for_an_even_spectrum():
    made, images = NTKCondition(task(), batch_size=4, channels=None), task().samples.batch(4)
    net = network(seed=1)
    expected = torch.linalg.cond(tangent_kernel(net, images[0]))
    assert made.measure(network(seed=1), *images) == pytest.approx(-float(expected), rel=1e-3)


def test_its_networks_are_thin_unless_told_otherwise():
    assert NTKCondition(task(), batch_size=4).task.space.channels == 3
    assert NTKCondition(task(), batch_size=4, channels=None).task.space.channels == SMALL.channels
