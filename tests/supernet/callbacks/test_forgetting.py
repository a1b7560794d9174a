import pytest
import torch
import torch.nn.functional as F

from supernet.alphas import Mixture
from supernet.callbacks.forgetting import Forgetting, forgetting
from tests.supernet.searches import SPACE, fit, module

SKIPS = SPACE.parse("|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|")
CONVOLUTIONS = SPACE.parse(
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
)


def batches(count: int, size: int = 6) -> list:
    generator = torch.Generator().manual_seed(3)
    return [
        (torch.randn(size, 3, 8, 8, generator=generator), torch.randint(3, (size,), generator=generator))
        for _ in range(count)
    ]


def mixture(architecture) -> Mixture:
    tables = architecture.one_hot(SPACE.operations)
    return Mixture({cell: table.float() for cell, table in tables.items()}, None)


def test_it_is_the_change_of_accuracy_by_the_steps_of_others():
    """Independent reference: the same steps with the update written out."""
    supernet, train, held_out, path = SPACE.supernet(), batches(3), batches(4, 20), [SKIPS, CONVOLUTIONS, CONVOLUTIONS]
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    found = forgetting(supernet, [mixture(one) for one in path], train, held_out, lr=0.5)
    assert all(torch.equal(before[name], tensor) for name, tensor in supernet.state_dict().items())
    supernet.train()
    right = []
    for architecture, (images, labels) in zip(path, train, strict=True):
        loss = F.cross_entropy(supernet(images, mixture(architecture).weights), labels)
        tensors = list(supernet.parameters())
        grads = torch.autograd.grad(loss, tensors, allow_unused=True)
        with torch.no_grad():
            for tensor, grad in zip(tensors, grads, strict=True):
                if grad is not None:
                    tensor -= 0.5 * grad
            network = SPACE.build(SKIPS.allowed(SPACE.operations), searching=True)
            network.inherit(supernet)
            hits = [network.train()(images).argmax(dim=1) == labels for images, labels in held_out]
            right.append(float(torch.cat(hits).double().mean()))
    assert found == pytest.approx(right[-1] - right[0])
    assert len(set(right)) > 1


def test_without_a_learning_rate_nothing_is_forgotten():
    path = [mixture(SKIPS), mixture(CONVOLUTIONS)]
    assert forgetting(SPACE.supernet(), path, batches(2), batches(2), lr=0.0) == 0


def test_it_is_logged_and_the_search_is_as_without():
    with_it, without = module(), module()
    trainer = fit(with_it, epochs=2, callbacks=[Forgetting(every=2, architectures=2, steps=2, batches=1)])
    fit(without, epochs=2)
    assert -1 <= float(trainer.callback_metrics["supernet/forgetting"]) <= 1
    for one, other in zip(with_it.parameters(), without.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", ["every", "architectures", "steps", "batches"])
def test_settings_without_sense_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} is 0"):
        Forgetting(**{name: 0})
