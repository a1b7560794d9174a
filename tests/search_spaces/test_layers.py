import pytest
import torch
from torch import nn

from search_spaces.layers import GlobalPool, ScaledBatchNorm, SplitConv, duplicates, part, weighted_sums

TOLERANCE = {"rtol": 1e-12, "atol": 1e-12}


def test_a_part_is_a_view_of_some_copies():
    tensor = torch.arange(12.0).reshape(6, 2)
    assert part(tensor, 3, None) is tensor
    assert part(tensor, 3, slice(1, 3)).tolist() == tensor[2:].tolist()
    part(tensor, 3, slice(1, 2)).zero_()
    assert tensor[2:4].abs().sum() == 0


def test_duplicates_count_how_often_a_value_occurs():
    assert duplicates(torch.tensor([0, 1, 2, 1, 1])).tolist() == [1, 3, 1, 3, 3]


@pytest.mark.parametrize("size", [(8, 8), (7, 9)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    "options",
    [
        {"kernel": 1},
        {"kernel": 3},
        {"kernel": 3, "depthwise": True},
        {"kernel": 3, "depthwise": True, "dilation": 3},
        {"kernel": 5, "depthwise": True, "dilation": 2},
        {"kernel": 1, "separate": True},
        {"kernel": 3, "separate": True},
    ],
)
def test_a_split_convolution_is_one_for_each_copy(options, stride, size):
    copies, channels = 3, 4
    together = SplitConv(channels, channels, copies=copies, stride=stride, **options).double()
    apart = SplitConv(channels, channels, copies=1, stride=stride, **options).double()
    assert together.bias is None
    own_input = options.get("depthwise") or options.get("separate")
    x = torch.randn(2, channels * (copies if own_input else 1), *size, dtype=torch.float64, requires_grad=True)
    pieces = x.chunk(copies, dim=1) if own_input else [x] * copies
    outputs = [
        nn.functional.conv2d(piece, weight, None, stride, apart.padding, apart.dilation, apart.groups)
        for piece, weight in zip(pieces, together.weight.chunk(copies), strict=True)
    ]
    expected, found = torch.cat(outputs, dim=1), together(x)
    torch.testing.assert_close(found, expected, **TOLERANCE)
    towards = torch.randn_like(expected)
    for mine, theirs in zip(
        *(torch.autograd.grad(y, (x, together.weight), towards) for y in (found, expected)), strict=True
    ):
        torch.testing.assert_close(mine, theirs, **TOLERANCE)
    assert outputs[0].shape[2:] == tuple(-(-side // stride) for side in size)
    some = torch.cat(pieces[1:3], dim=1) if own_input else x
    torch.testing.assert_close(together(some, slice(1, 3)), torch.cat(outputs[1:3], dim=1), **TOLERANCE)


DILATED = {"kernel": 3, "depthwise": True, "dilation": 2}


@pytest.mark.parametrize("stride", [1, 2])
def test_a_dilated_convolution_can_be_differentiated_twice(stride):
    layer = SplitConv(2, 2, copies=2, stride=stride, **DILATED).double()
    x, weight = torch.randn(2, 4, 4, 6, dtype=torch.float64, requires_grad=True), layer.weight
    assert torch.autograd.gradcheck(lambda x, _: layer(x), (x, weight))
    assert torch.autograd.gradgradcheck(lambda x, _: layer(x), (x, weight))


@pytest.mark.parametrize("stride", [1, 2])
def test_a_dilated_convolution_can_be_differentiated_for_each_image(stride):
    layer = SplitConv(2, 2, copies=2, stride=stride, **DILATED).double()
    x = torch.randn(3, 1, 4, 4, 6, dtype=torch.float64)

    def loss(weight, image):
        return torch.func.functional_call(layer, {"weight": weight}, (image,)).square().sum()

    together = torch.func.vmap(torch.func.grad(loss, argnums=(0, 1)), in_dims=(None, 0))(layer.weight, x)
    for number, image in enumerate(x):
        for mine, theirs in zip(together, torch.func.grad(loss, argnums=(0, 1))(layer.weight, image), strict=True):
            torch.testing.assert_close(mine[number], theirs, **TOLERANCE)


def test_a_dilated_convolution_works_in_half_precision():
    layer, x = SplitConv(2, 2, copies=2, **DILATED), torch.randn(2, 4, 4, 6, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    y.sum().backward()
    assert x.grad.dtype == layer.weight.grad.dtype == torch.float32
    expected = nn.functional.conv2d(x, layer.weight, None, 1, 2, 2, 4)
    torch.testing.assert_close(y.float(), expected, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("rows", [None, slice(1, 3), slice(0, 1)])
@pytest.mark.parametrize("tracking", [True, False])
def test_a_scaled_batch_norm_is_torch_s_times_the_weights(affine, training, rows, tracking):
    copies, channels = 3, 2
    norm = ScaledBatchNorm(channels, copies, affine).double()
    for name, tensor in norm.state_dict().items():
        if tensor.is_floating_point():
            nn.init.uniform_(tensor, 0.5, 1.5) if "mean" not in name else nn.init.normal_(tensor)
    reference = nn.BatchNorm2d(copies * channels, affine=affine).double()
    reference.load_state_dict(norm.state_dict())
    for module in (norm, reference):
        module.train(training)
        module.track_running_stats = tracking
    x = torch.randn(4, copies, channels, 3, 3, dtype=torch.float64)
    weights = torch.rand(copies, dtype=torch.float64)
    chosen = slice(None) if rows is None else rows
    out = norm(x[:, chosen].flatten(1, 2), weights[chosen], rows)
    expected = reference(x.flatten(1, 2)).unflatten(1, (copies, channels)) * weights[:, None, None, None]
    torch.testing.assert_close(out, expected[:, chosen], **TOLERANCE)
    for name in ("running_mean", "running_var"):
        mine, theirs = (getattr(module, name).unflatten(0, (copies, channels)) for module in (norm, reference))
        torch.testing.assert_close(mine[chosen], theirs[chosen], **TOLERANCE)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("strides", [(2, 1, 8, 4), (16, 1, 8, 4), (1, 4, 2, 1), (16, 4, 2, 1)])
def test_a_scaled_batch_norm_of_one_image_takes_a_gradient_of_any_strides(training, memory_format, strides):
    layer = ScaledBatchNorm(4, 1, affine=True).double().train(training)
    x = torch.randn(1, 4, 2, 2, dtype=torch.float64).contiguous(memory_format=memory_format).requires_grad_()
    towards = torch.randn(64, dtype=torch.float64).as_strided((1, 4, 2, 2), strides)
    found = torch.autograd.grad(layer(x).flatten(1, 2), x, towards)[0]
    values = (x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), unbiased=False, keepdim=True) + layer.eps).sqrt()
    expected = torch.autograd.grad(values if training else x / (1 + layer.eps) ** 0.5, x, towards.clone())[0]
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_global_pooling_is_the_mean_and_its_gradient_has_the_channels_last():
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64).contiguous(memory_format=torch.channels_last).requires_grad_()
    torch.testing.assert_close(GlobalPool()(x), nn.AdaptiveAvgPool2d(1)(x), **TOLERANCE)
    (grad,) = torch.autograd.grad(GlobalPool()(x).sum(), x)
    torch.testing.assert_close(grad, torch.full_like(x, 1 / 20), **TOLERANCE)
    seen = []
    y = x * 1
    y.register_hook(lambda grad: seen.append(grad.is_contiguous(memory_format=torch.channels_last)))
    GlobalPool()(y).square().sum().backward()
    assert seen == [True]


def sums_by_hand(totals, weights, maps):
    return [
        (0 if total is None else total) + sum(weight[k] * y for weight, y in zip(weights, maps, strict=True))
        for k, total in enumerate(totals)
    ]


@pytest.mark.parametrize("given", [(True, True), (False, True), (False, False)])
def test_weighted_sums_and_their_derivatives_of_both_orders(given):
    def draw(*shape):
        return torch.randn(shape, dtype=torch.float64, requires_grad=True)

    totals = [draw(2, 3, 2, 2) if one else None for one in given]
    weights, maps = [draw(2), draw(2)], [draw(2, 3, 2, 2), draw(2, 3, 2, 2)]
    for found, expected in zip(weighted_sums(totals, weights, maps), sums_by_hand(totals, weights, maps), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-14, atol=0)
    inputs = (*weights, *maps, *filter(lambda one: one is not None, totals))

    def function(*tensors):
        rest = iter(tensors[4:])
        return tuple(weighted_sums([None if one is None else next(rest) for one in totals], tensors[:2], tensors[2:4]))

    assert torch.autograd.gradcheck(function, inputs)
    assert torch.autograd.gradgradcheck(function, inputs)


def test_weighted_sums_of_channels_last_maps_stay_so_and_add_up_their_products():
    maps = [torch.randn(4, 8, 5, 5).contiguous(memory_format=torch.channels_last) for _ in range(2)]
    weights = [torch.rand(3, requires_grad=True) for _ in maps]
    totals = weighted_sums([None] * 3, weights, maps)
    assert all(total.is_contiguous(memory_format=torch.channels_last) for total in totals)
    direction = torch.randn(4, 8, 5, 5)
    found = torch.autograd.grad(totals, weights, [direction] * 3)
    for grad, y in zip(found, maps, strict=True):
        torch.testing.assert_close(grad, (direction * y).sum().expand(3), rtol=1e-4, atol=1e-4)


def test_weighted_sums_of_half_precision_have_weights_gradients_in_single():
    x = torch.ones(1, 1, 17, 241, dtype=torch.bfloat16)
    weight = torch.ones(1, requires_grad=True)
    (total,) = weighted_sums([None], [weight], [x])
    assert total.dtype == torch.bfloat16
    (grad,) = torch.autograd.grad(total, weight, torch.ones_like(total))
    assert grad.item() == 17 * 241  # bfloat16 would make it 4096


def test_weighted_sums_of_each_image_by_itself():
    maps, weight = torch.randn(3, 2, 4, 4, dtype=torch.float64), torch.rand(1, dtype=torch.float64)

    def loss(weight, one):
        return weighted_sums([None], [weight], [one[None]])[0].square().sum()

    found = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(weight, maps)
    torch.testing.assert_close(found[:, 0], 2 * weight * maps.square().sum((1, 2, 3)))
