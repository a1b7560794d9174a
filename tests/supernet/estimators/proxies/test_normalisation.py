import pytest
import torch
import torch.nn.functional as F

from supernet.estimators.proxies.normalisation import normalised
from tests.supernet.estimators.tasks import network, task


def test_instance_is_what_batches_of_one_image_give():
    net, (images, _) = network().double(), task().samples.batch(6)
    images = images.double()
    with torch.no_grad():
        alone = torch.cat([net(image[None]) for image in images])
        with normalised("instance"):
            together = net(images)
    torch.testing.assert_close(together, alone, rtol=1e-10, atol=1e-10)
    with torch.no_grad():
        assert not torch.allclose(net(images), alone)


@pytest.mark.parametrize("size", [1, 5])
def test_instance_is_its_formula_in_values_and_gradients(size):
    generator = torch.Generator().manual_seed(0)
    x, scale, shift = (
        torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((3, 4, size, size), (4,), (4,))
    )
    given = [tensor.requires_grad_() for tensor in (x, scale, shift)]
    variance, mean = torch.var_mean(x, dim=(2, 3), correction=0, keepdim=True)
    plain = (x - mean) / (variance + 1e-5).sqrt() * scale[:, None, None] + shift[:, None, None]
    with normalised("instance"):
        ours = F.batch_norm(x, None, None, scale, shift, training=True)
    torch.testing.assert_close(ours, plain, rtol=1e-12, atol=1e-12)
    grads = [torch.autograd.grad((y * y.detach().cos()).sum(), given) for y in (ours, plain)]
    torch.testing.assert_close(*grads, rtol=1e-12, atol=1e-12)


def test_a_mean_far_from_zero_costs_an_instance_no_precision_in_either_layout():
    x = 100 + torch.randn(3, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    for layout in (torch.contiguous_format, torch.channels_last):
        with normalised("instance"):
            single, double = (
                F.batch_norm(x.to(dtype, memory_format=layout), None, None, training=True)
                for dtype in (torch.float32, torch.float64)
            )
        assert float((single - double).abs().max()) < 1e-4


def test_identity_is_an_evaluation_with_untouched_statistics_up_to_epsilon():
    net, (images, _) = network().double(), task().samples.batch(6)
    for norm in (module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        norm.eps = 0.0
        norm.weight.data.uniform_(0.5, 2)
        norm.bias.data.uniform_(-1, 1)
    with torch.no_grad(), normalised("identity"):
        bypassed = net(images.double())
    torch.testing.assert_close(bypassed, net.eval()(images.double()))


def test_only_batches_leave_a_trace_in_the_running_statistics():
    net, (images, _) = network(), task().samples.batch(6)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    for how in ("instance", "identity"):
        with normalised(how):
            net(images)
    after = {name: tensor for name, tensor in net.state_dict().items() if "running" in name}
    assert after
    assert all(torch.equal(tensor, before[name]) for name, tensor in after.items())


def test_an_unknown_way_is_refused():
    with pytest.raises(ValueError, match="normalisation is 'none': it must be one of batch, instance, identity"), \
            normalised("none"):  # fmt: skip
        pass
