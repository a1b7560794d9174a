import pytest
import torch

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
