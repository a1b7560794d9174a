import pytest
import torch
from torch import nn

from search_spaces import darts, nasbench1shot1, nasbench201, nasbench_macro
from search_spaces.candidates import build
from search_spaces.operations import FactorizedReduce, Form, Identity, Noise, halves
from tests.search_spaces.plain import NAMES as PLAIN_NAMES
from tests.search_spaces.plain import plain_operation

TOLERANCE = {"rtol": 1e-12, "atol": 1e-12}
SPACES = (nasbench201, darts, nasbench1shot1, nasbench_macro)
NAMES = list(dict.fromkeys(name for space in SPACES for name in space.OPERATIONS if name != "none"))
SEARCHING, FOUND = Form(affine=False, pool_norm=True), Form(affine=True)
WIDENED = [name for name in NAMES if name not in nasbench_macro.OPERATIONS]  # where channels may pass by operations
EVERY = pytest.mark.parametrize(("name", "stride"), [(name, stride) for name in NAMES for stride in (1, 2)])


def randomised(operation):
    """In float64, with batch norms that are not the trivial ones."""
    for name, tensor in operation.double().state_dict().items():
        if name.endswith(("norm.weight", "running_var")):
            nn.init.uniform_(tensor, 0.5, 1.5)
        elif tensor.is_floating_point():
            nn.init.normal_(tensor, std=0.5)
    return operation


def images(operation, *shape):
    x = torch.randn(*shape, dtype=torch.float64)
    return x.relu() if operation.takes_relu else x


@EVERY
@pytest.mark.parametrize("weighted", [True, False])
def test_every_copy_is_spelled_out(name, stride, weighted):
    """A parameter-free operation that returned one copy for many edges would drop edges silently."""
    operation = build(name, 3, 4, 4, stride, SEARCHING)
    out = operation(torch.randn(2, 4, 5, 5), torch.rand(3) if weighted else None)
    assert out.shape == ((2, 3, 4, 5, 5) if stride == 1 else (2, 3, 4, 3, 3))
    some = operation(torch.randn(2, 4, 5, 5), torch.rand(2) if weighted else None, slice(1, 3))
    assert some.shape == (2, 2, *out.shape[2:])


@EVERY
@pytest.mark.parametrize("form", [SEARCHING, FOUND], ids=["searching", "found"])
def test_one_copy_equals_the_plain_operation_times_its_weight(name, stride, form):
    operation = randomised(build(name, 1, 4, 4, stride, form))
    reference = plain_operation(name, 4, stride, form).double()
    batched = operation.state_dict()
    with torch.no_grad():
        for plain_name, tensor in [*reference.named_parameters(), *reference.named_buffers()]:
            layer, _, kind = plain_name.rpartition(".")
            tensor.copy_(batched[f"{PLAIN_NAMES[name.partition('_')[0]][layer]}.{kind}"])
    x = torch.randn(3, 4, 6, 6, dtype=torch.float64)
    for training in (False, True):
        out = operation.train(training)(
            x.relu() if operation.takes_relu else x, torch.tensor([0.3], dtype=torch.float64)
        )
        torch.testing.assert_close(out[:, 0], 0.3 * reference.train(training)(x), **TOLERANCE)


@EVERY
def test_mixing_weights_do_not_raise_the_precision(name, stride):
    operation = build(name, 2, 4, 4, stride, SEARCHING)
    with torch.autocast("cpu", torch.bfloat16):
        assert operation(torch.randn(2, 4, 4, 4, dtype=torch.bfloat16), torch.rand(2)).dtype == torch.bfloat16


@EVERY
@pytest.mark.parametrize("form", [SEARCHING, FOUND], ids=["searching", "found"])
@pytest.mark.parametrize("training", [False, True])
def test_adopted_copies_compute_what_they_did(name, stride, form, training):
    old = randomised(build(name, 3, 4, 4, stride, form)).train(training)
    new = randomised(build(name, 2, 4, 4, stride, form)).train(training)
    new.load_state_dict(new.adopt(old.state_dict(), [0, 2, 3], None, rescale=False))
    x = images(old, 3, 4, 6, 6)
    torch.testing.assert_close(new(x), old(x)[:, [0, 2]], **TOLERANCE)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", WIDENED)
@pytest.mark.parametrize("width", [(4, 8), (4, 6), (3, 7)])
@pytest.mark.parametrize("form", [SEARCHING, FOUND], ids=["searching", "found"])
def test_a_rescaled_wider_operation_repeats_the_channels_of_the_old_one(name, stride, width, form, generator):
    less, more = width
    index = torch.cat([torch.arange(less), torch.randint(less, (more - less,), generator=generator)])
    old = randomised(build(name, 3, less, less, stride, form))
    new = randomised(build(name, 2, more, more, stride, form))
    copied = randomised(build(name, 2, more, more, stride, form))
    new.load_state_dict(new.adopt(old.state_dict(), [0, 2, 3], index, rescale=True))
    copied.load_state_dict(copied.adopt(old.state_dict(), [0, 2, 3], index, rescale=False))
    outputs = index
    if isinstance(old, FactorizedReduce):
        first, second = halves(index)
        outputs = torch.cat([first, second + less // 2])
    x = images(old, 3, less, 6, 6)
    weights = torch.rand(3, dtype=torch.float64)
    for training in (False, True):
        expected = old.train(training)(x, weights)[:, [0, 2]][:, :, outputs]
        out = new.train(training)(x[:, index], weights[[0, 2]])
        torch.testing.assert_close(out, expected, **TOLERANCE)
        unscaled = copied.train(training)(x[:, index], weights[[0, 2]])
        assert torch.allclose(unscaled, expected) == (not any(parameter.dim() > 1 for parameter in old.parameters()))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", WIDENED)
def test_momentum_is_adopted_as_weights_are(name, stride, generator):
    index = torch.cat([torch.arange(4), torch.randint(4, (4,), generator=generator)])
    operation = build(name, 3, 4, 4, stride, FOUND)
    new = build(name, 2, 8, 8, stride, FOUND)
    weights = {key: parameter.detach() for key, parameter in operation.named_parameters()}
    momentum = {key: torch.randn_like(tensor) for key, tensor in weights.items()}
    together = {key: weights[key] + momentum[key] for key in weights}
    adopted = [new.adopt(tensors, [1, 0, 3], index, rescale=True) for tensors in (weights, momentum, together)]
    assert adopted[0].keys() == dict(new.named_parameters()).keys()
    for key, parameter in new.named_parameters():
        assert adopted[1][key].shape == parameter.shape
        torch.testing.assert_close(adopted[0][key] + adopted[1][key], adopted[2][key])


@pytest.mark.parametrize(("less", "more"), [(4, 8), (4, 6), (3, 7), (2, 3)])
def test_each_half_of_a_wider_map_repeats_its_own_half(less, more, generator):
    index = torch.cat([torch.arange(less), torch.randint(less, (more - less,), generator=generator)])
    wanted = (less // 2, more // 2), (less - less // 2, more - more // 2)
    for half, (there, length) in zip(halves(index), wanted, strict=True):
        assert len(half) == length
        assert half[:there].tolist() == list(range(there))
        assert half.max() < there


def test_dropout_of_the_identity_works_in_training_only_and_on_each_edge_by_itself():
    identity = Identity(2)
    x = torch.ones(50, 4, 10, 10)
    assert torch.equal(identity(x), torch.ones(50, 2, 4, 10, 10))
    identity.dropout = 0.25
    out = identity(x, torch.tensor([1.0, 3.0]))
    assert out.shape == (50, 2, 4, 10, 10)
    torch.testing.assert_close(out[:, 0].unique(), torch.tensor([0, 4 / 3]))
    assert out[:, 0].mean() == pytest.approx(1, abs=0.02)
    assert out[:, 1].mean() == pytest.approx(3, abs=0.06)
    both = ((out[:, 0] == 0) & (out[:, 1] == 0)).float().mean()
    assert both == pytest.approx(0.25**2, abs=0.01)
    assert torch.equal(identity.eval()(x), torch.ones(50, 2, 4, 10, 10))


def test_noise_is_standard_normal_and_does_not_read_its_input():
    noise = Noise(2, stride=2)
    x = torch.full((20, 8, 9, 9), torch.nan)
    out = noise(x, torch.tensor([1.0, 2.0]))
    assert out.shape == (20, 2, 8, 5, 5)
    assert out[:, 0].mean() == pytest.approx(0, abs=0.07)
    assert out[:, 0].std() == pytest.approx(1, abs=0.05)
    assert out[:, 1].std() == pytest.approx(2, abs=0.1)
    torch.manual_seed(3)
    first = noise(x)
    torch.manual_seed(3)
    assert torch.equal(noise(torch.zeros_like(x)), first)
