import functools

import pytest
import torch

from supernet.optimizers import fused

FACTORIES = {
    "sgd": functools.partial(torch.optim.SGD, lr=0.1, momentum=0.9, weight_decay=0.01),
    "adam": functools.partial(torch.optim.Adam, lr=0.1, weight_decay=0.01),
}


def test_optimizers_that_can_update_everything_at_once_do():
    weight = [torch.zeros(1, requires_grad=True)]
    assert fused(functools.partial(torch.optim.SGD, lr=0.1), weight).param_groups[0]["fused"]
    assert fused(torch.optim.Adam, weight).param_groups[0]["fused"]
    assert fused(functools.partial(torch.optim.SGD, lr=0.1, fused=False), weight).param_groups[0]["fused"] is False
    assert "fused" not in fused(torch.optim.RMSprop, weight).param_groups[0]
    for otherwise in ("foreach", "differentiable"):
        assert not fused(functools.partial(torch.optim.SGD, lr=0.1, **{otherwise: True}), weight).param_groups[0][
            "fused"
        ]
    assert not fused(torch.optim.SGD, [torch.zeros(1, device="meta", requires_grad=True)]).param_groups[0]["fused"]


@pytest.mark.parametrize("factory", FACTORIES.values(), ids=FACTORIES)
@pytest.mark.parametrize("parameter_format", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("gradient_format", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("state_format", [torch.channels_last, torch.contiguous_format])
def test_they_update_as_the_plain_ones_do_however_tensors_lie_in_memory(
    factory, parameter_format, gradient_format, state_format
):
    start = torch.randn(4, 3, 3, 3, dtype=torch.float64).contiguous(memory_format=parameter_format)
    ours, theirs = start.clone().requires_grad_(), start.clone().requires_grad_()
    optimizer, plain = fused(factory, [ours]), factory([theirs], foreach=False)
    for _ in range(3):
        grad = torch.randn_like(start).contiguous(memory_format=gradient_format)
        ours.grad, theirs.grad = grad.clone(), grad.clone()
        for state in optimizer.state.values():
            for name, value in state.items():
                if isinstance(value, torch.Tensor) and value.dim() == 4:
                    state[name] = value.contiguous(memory_format=state_format)
        optimizer.step()
        plain.step()
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    assert ours.stride() == start.stride()
