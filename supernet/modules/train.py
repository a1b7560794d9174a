"""Training one stand-alone network."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics.classification import MulticlassAccuracy

from search_spaces.network import Network
from supernet import gradients, seeds
from supernet.averages import Mean
from supernet.errors import UserError
from supernet.formulations.base import Batch
from supernet.modules.finite import Guard
from supernet.optimizers import fused
from supernet.seeds import global_generator

TOP = 5  # with more classes than that, the share of images whose class is among the five likeliest is measured too


class TrainModule(pl.LightningModule):
    """Trains a network with cross-entropy; the learning rate is stepped once an epoch.

    What helps the deep networks of DARTS (Liu, Simonyan and Yang, 2019, arXiv:1806.09055, section 3.2): a second head
    in the middle of the network, in training only, with ``loss = CE(head) + auxiliary_weight * CE(auxiliary head)``;
    and drop-path (Larsson et al., 2017, arXiv:1605.07648), whose probability is ``drop_path * epoch / epochs``.

    Logged, accuracies as fractions: ``loss/train`` (of the head alone), ``accuracy/train``, ``loss/test``,
    ``accuracy/test``; ``loss/auxiliary`` with a second head, ``accuracy/test_top5`` with more than five classes.

    Args:
        network: the network, for instance ``space.network(architecture)``; its weights are initialised by the caller.
        optimizer: called with the parameters.
        scheduler: called with the optimizer.
        num_classes: classes.
        seed: determines what an epoch draws from the global generator.
        clip: largest norm of the gradient; 0 turns clipping off.
        label_smoothing: share of the target that is spread evenly over all classes (Szegedy et al., 2016,
            arXiv:1512.00567), in both heads and in training only.
        drop_path: probability at the end of the training.
        auxiliary_weight: of the second head's loss, where the network has one.
        max_skipped_steps: how many batches with a gradient that is not finite are left out; see `Guard`. With the loss
            scaling of 16-mixed they are left out anyway.

    Raises:
        UserError: for a value that makes no sense.
    """

    def __init__(
        self,
        network: Network,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler],
        num_classes: int,
        seed: int = 0,
        clip: float = 0.0,
        label_smoothing: float = 0.0,
        drop_path: float = 0.0,
        auxiliary_weight: float = 0.0,
        max_skipped_steps: int = 0,
    ) -> None:
        super().__init__()
        for name, value in (("label_smoothing", label_smoothing), ("drop_path", drop_path)):
            if not _is_number(value) or not 0 <= value < 1:
                raise UserError(f"{name}={value}: it must be a number, at least 0 and less than 1; 0 turns it off")
        if not _is_number(auxiliary_weight) or not auxiliary_weight >= 0:
            raise UserError(f"auxiliary_weight={auxiliary_weight}: it must be a number, at least 0")
        self.network: Network = network.to(memory_format=torch.channels_last)
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.seed = seed
        self.clip = clip
        self.label_smoothing = label_smoothing
        self.drop_path = drop_path
        self.auxiliary_weight = auxiliary_weight
        self.guard = Guard(max_skipped_steps)
        self._batch = 0  # the number of the current one
        self._before: list[Tensor] = []  # running statistics before it
        self._seen: dict[str, tuple[Mean, Tensor]] = {}  # what it has measured
        accuracy = functools.partial(MulticlassAccuracy, num_classes, average="micro", validate_args=False)
        self.train_loss, self.auxiliary_loss = Mean(), Mean()
        self.train_accuracy = accuracy()
        self.test_accuracy = accuracy()
        self.test_top5 = accuracy(top_k=TOP) if num_classes > TOP else None

    def configure_optimizers(self) -> Any:
        """The optimizer and its scheduler."""
        # With the loss scaling of 16-mixed a fused optimizer would see gradients that were clipped before they are
        # scaled back.
        scaled = self._trainer is not None and str(self.trainer.precision).startswith("16")
        parameters = self.network.parameters()
        optimizer = self.optimizer(parameters) if scaled else fused(self.optimizer, parameters)
        return [optimizer], [self.scheduler(optimizer)]

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Scale a gradient that is longer than `clip` down to it; leave one out that is not finite, if asked to."""
        weights = list(self.network.parameters())
        if self.clip:
            norm = nn.utils.clip_grad_norm_(weights, self.clip)
        else:
            norm = gradients.norm([weight.grad for weight in weights if weight.grad is not None])
        if self._trainer is not None and str(self.trainer.precision).startswith("16"):
            return
        if self.guard.refuses("weights", norm, self.current_epoch, self._batch):
            self._seen = {}
            torch._foreach_copy_(self._running(), self._before)  # they may have seen what is not finite
            for weight in weights:
                weight.grad = None  # an optimizer leaves such weights as they are

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """The step; then count what was measured in it, if it was done."""
        super().optimizer_step(*args, **kwargs)
        self._count()

    def _count(self) -> None:
        for name, (mean, loss) in self._seen.items():
            mean.update(loss)
            self.log(name, mean, on_step=False, on_epoch=True, prog_bar=name == "loss/train")
        if self._seen:
            self.train_accuracy.update(*self._answers)
            self.log("accuracy/train", self.train_accuracy, on_step=False, on_epoch=True, prog_bar=True)

    def on_train_epoch_end(self) -> None:
        """Make sure that all gradients were finite."""
        self.guard.check()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add how many batches were left out."""
        checkpoint["skipped_steps"] = self.guard.skipped

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on counting."""
        self.guard.skipped = checkpoint.get("skipped_steps", 0)

    def on_train_epoch_start(self) -> None:
        """Set the probability of drop-path."""
        self.network.drop_path(self.drop_path * self.current_epoch / max(1, self.trainer.max_epochs or 1))
        self.log("lr/weights", self.trainer.optimizers[0].param_groups[0]["lr"])

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of a batch; whatever it draws from the global generator is a function of (seed, epoch, batch)."""
        global_generator(self.device).manual_seed(seeds.derive(self.seed, seeds.EPOCH, self.current_epoch, batch_idx))
        images, labels = batch
        self._batch = batch_idx
        self._before = [tensor.clone() for tensor in self._running()] if self.guard.skips else []
        logits, auxiliary = self.network.both(images)
        loss = F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
        self._seen = {"loss/train": (self.train_loss, loss.detach())}
        self._answers = logits.detach(), labels
        if auxiliary is None:
            return loss
        extra = F.cross_entropy(auxiliary, labels, label_smoothing=self.label_smoothing)
        self._seen["loss/auxiliary"] = self.auxiliary_loss, extra.detach()
        return loss + self.auxiliary_weight * extra

    def _running(self) -> list[Tensor]:
        return [buffer for name, buffer in self.network.named_buffers() if name.endswith(("_mean", "_var"))]

    def rehearse(self, batch: Batch) -> None:
        """All the gradients of a step, which then come to nothing: to see what they take."""
        logits, auxiliary = self.network.both(batch[0])
        loss = F.cross_entropy(logits, batch[1])
        if auxiliary is not None:
            loss = loss + F.cross_entropy(auxiliary, batch[1])
        gradients.grad(loss, list(self.network.parameters()))

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Loss and accuracy on the test set."""
        images, labels = batch
        logits = self.network(images)
        self.test_accuracy.update(logits, labels)
        self.log("loss/test", F.cross_entropy(logits, labels), batch_size=len(labels), sync_dist=True)
        self.log("accuracy/test", self.test_accuracy, prog_bar=True)
        if self.test_top5 is not None:
            self.test_top5.update(logits, labels)
            self.log("accuracy/test_top5", self.test_top5)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """The same as in validation: there is one test set."""
        self.validation_step(batch, batch_idx)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
