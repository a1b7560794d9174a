import functools
import math

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from search_spaces.darts import DARTS
from search_spaces.nasbench201 import NASBench201
from search_spaces.published import DARTS as PUBLISHED
from supernet.data.modules import TrainData
from supernet.data.synthetic import Synthetic
from supernet.errors import UserError
from supernet.modules.train import TrainModule

SPACE = NASBench201(channels=4, cells_per_stage=1, in_channels=3, num_classes=3)
SGD = functools.partial(torch.optim.SGD, lr=0.1, momentum=0.9)
STEADY = functools.partial(torch.optim.lr_scheduler.ConstantLR, factor=1.0)


def fitted(module: TrainModule, images: Synthetic, epochs: int, *callbacks: pl.Callback) -> pl.Trainer:
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=epochs, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, use_distributed_sampler=False, callbacks=list(callbacks),
    )  # fmt: skip
    trainer.fit(module, TrainData(images))
    return trainer


def darts(**options) -> TrainModule:
    space = DARTS(channels=4, layers=3, auxiliary=True, num_classes=7)
    return TrainModule(space.network(space.parse(PUBLISHED["darts_v2"])), SGD, STEADY, num_classes=7, **options)


class Fixed(nn.Module):
    """A network whose two heads always answer the same."""

    def __init__(self, logits: torch.Tensor, auxiliary: torch.Tensor | None) -> None:
        super().__init__()
        self.answers = logits, auxiliary

    def both(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        return self.answers

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.answers[0]


@pytest.fixture
def logged(monkeypatch):
    values: dict[str, object] = {}
    monkeypatch.setattr(TrainModule, "log", lambda self, name, value, **_: values.update({name: value}))
    return values


def test_a_network_learns_and_its_test_accuracy_is_that_of_the_test_set():
    images = Synthetic(num_classes=3, size=8, num_images=96, batch_size=16)
    module = TrainModule(
        SPACE.network(SPACE.parse("|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|")),
        SGD,
        functools.partial(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=4),
        num_classes=3,
    )
    trainer = fitted(module, images, 4)
    module.eval()
    with torch.no_grad():
        right = sum(int((module.network(x).argmax(1) == y).sum()) for x, y in images.batches("test"))
    accuracy = float(trainer.callback_metrics["accuracy/test"])
    assert accuracy == pytest.approx(right / len(images.labels("test")))
    assert accuracy > 0.6
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)
    assert "accuracy/test_top5" not in trainer.callback_metrics  # of three classes, all are among the first five


def test_the_loss_adds_the_weighted_auxiliary_head_and_smooths_the_targets_of_both(logged):
    # Logits (ln 4, 0, 0, 0) mean probabilities 4/7 and 1/7: smoothed by 0.2, -sum t ln p has t = 0.85 and 0.05.
    first = torch.tensor([[math.log(4.0), 0.0, 0.0, 0.0]])
    second = torch.zeros(1, 4)
    batch = torch.zeros(1, 3, 8, 8), torch.tensor([0])
    smooth = 0.85 * math.log(7 / 4) + 3 * 0.05 * math.log(7)
    for smoothing, expected in ((0.0, math.log(7 / 4)), (0.2, smooth)):
        for auxiliary, extra in ((None, 0.0), (second, math.log(4))):
            module = TrainModule(
                Fixed(first, auxiliary), SGD, STEADY, 4, label_smoothing=smoothing, auxiliary_weight=0.4
            )
            assert float(module.training_step(batch, 0)) == pytest.approx(expected + 0.4 * extra)
            module._count()
            assert float(logged["loss/train"].compute()) == pytest.approx(expected)
        assert float(logged["loss/auxiliary"].compute()) == pytest.approx(math.log(4))
        module.validation_step(batch, 0)
        assert float(logged["loss/test"]) == pytest.approx(math.log(7 / 4))  # never smoothed


def test_among_the_five_likeliest_is_counted_by_hand(logged):
    logits = torch.randn(50, 9, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(9, (50,), generator=torch.Generator().manual_seed(1))
    module = TrainModule(Fixed(logits, None), SGD, STEADY, 9)
    module.validation_step((torch.zeros(50, 1, 1, 1), labels), 0)
    rank = (logits > logits.gather(1, labels[:, None])).sum(dim=1)
    assert float(module.test_top5.compute()) == pytest.approx(float((rank < 5).float().mean()))
    assert float(module.test_accuracy.compute()) == pytest.approx(float((rank < 1).float().mean()))


def test_the_auxiliary_head_is_trained_and_left_out_of_the_test():
    module = darts(auxiliary_weight=0.4)
    before = {name: tensor.clone() for name, tensor in module.network.named_parameters()}
    trainer = fitted(module, Synthetic(num_classes=7, size=8, num_images=28, batch_size=14), 1)
    moved = {name for name, tensor in module.network.named_parameters() if not torch.equal(tensor, before[name])}
    assert {"auxiliary.classifier.weight", "auxiliary.features.0.weight", "stem.0.weight"} <= moved
    assert {"loss/auxiliary", "accuracy/test_top5"} <= set(trainer.callback_metrics)
    assert module.network.eval().both(torch.zeros(2, 3, 8, 8))[1] is None


class Watch(pl.Callback):
    """Keeps the probability of drop-path in each epoch."""

    def __init__(self) -> None:
        self.seen: list[set[float]] = []

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.seen.append({cell.drop_path for cell in pl_module.network.cells})


def test_drop_path_rises_linearly_from_zero():
    watch = Watch()
    fitted(darts(drop_path=0.2), Synthetic(num_classes=7, size=8, num_images=14, batch_size=14), 4, watch)
    assert watch.seen == [{0.2 * epoch / 4} for epoch in range(4)]


@pytest.mark.parametrize("clip", [0.0, 0.5, 1e9])
def test_a_gradient_longer_than_the_clip_is_scaled_down_to_it(clip):
    images = Synthetic(num_classes=7, size=8, num_images=14, batch_size=14)
    module = darts(clip=clip, auxiliary_weight=0.4)
    module.optimizer = functools.partial(torch.optim.SGD, lr=1.0)
    before = [parameter.detach().clone() for parameter in module.network.parameters()]
    free = darts(auxiliary_weight=0.4)
    free.network.load_state_dict(module.network.state_dict())
    free.log = lambda *_, **__: None
    free.training_step(next(images.batches("all", shuffle=True, augment=True)), 0).backward()
    length = float(torch.cat([p.grad.flatten() for p in free.network.parameters()]).norm())
    assert length > 0.5
    fitted(module, images, 1)
    step = torch.cat(
        [(p.detach() - old).flatten() for p, old in zip(module.network.parameters(), before, strict=True)]
    ).norm()
    assert float(step) == pytest.approx(min(length, clip or length), rel=1e-3)


@pytest.mark.parametrize(("name", "value"), [
    ("drop_path", 1.0), ("drop_path", -0.1), ("drop_path", "high"), ("label_smoothing", 1), ("label_smoothing", True),
    ("auxiliary_weight", -1), ("auxiliary_weight", None), ("auxiliary_weight", float("nan")),
])  # fmt: skip
def test_a_value_without_sense_is_refused_by_name(name, value):
    with pytest.raises(UserError, match=f"{name}={value}: it must be"):
        darts(**{name: value})
