"""Training one stand-alone network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics.classification import MulticlassAccuracy

from search_spaces.network import Network
from supernet import seeds
from supernet.formulations.base import Batch


class TrainModule(pl.LightningModule):
    """Trains a network with cross-entropy; the learning rate is stepped once an epoch.

    Logged, accuracies as fractions: ``loss/train``, ``accuracy/train``, ``loss/test``, ``accuracy/test``.

    Args:
        network: the network, for instance ``space.network(architecture)``; its weights are initialised by the caller.
        optimizer: called with the parameters.
        scheduler: called with the optimizer.
        num_classes: classes.
        seed: determines what an epoch draws from the global generator.
    """

    def __init__(
        self,
        network: Network,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler],
        num_classes: int,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.network: Network = network.to(memory_format=torch.channels_last)
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.seed = seed
        self.train_accuracy = MulticlassAccuracy(num_classes, average="micro", validate_args=False)
        self.test_accuracy = MulticlassAccuracy(num_classes, average="micro", validate_args=False)

    def configure_optimizers(self) -> Any:
        """The optimizer and its scheduler."""
        optimizer = self.optimizer(self.network.parameters())
        return [optimizer], [self.scheduler(optimizer)]

    def on_train_epoch_start(self) -> None:
        """Make whatever this epoch draws from the global generator a function of (seed, epoch)."""
        torch.manual_seed(seeds.derive(self.seed, seeds.EPOCH, self.current_epoch))
        self.log("lr/weights", self.trainer.optimizers[0].param_groups[0]["lr"])

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """The loss of a batch."""
        images, labels = batch
        logits = self.network(images)
        loss = F.cross_entropy(logits, labels)
        self.train_accuracy.update(logits, labels)
        self.log("loss/train", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(labels))
        self.log("accuracy/train", self.train_accuracy, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Loss and accuracy on the test set."""
        images, labels = batch
        logits = self.network(images)
        self.test_accuracy.update(logits, labels)
        self.log("loss/test", F.cross_entropy(logits, labels), batch_size=len(labels))
        self.log("accuracy/test", self.test_accuracy, prog_bar=True)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """The same as in validation: there is one test set."""
        self.validation_step(batch, batch_idx)
