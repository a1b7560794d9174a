"""Images for a Lightning trainer: two halves for a search, a training and a test set for training."""

from __future__ import annotations

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import CombinedLoader

from supernet.data.images import Images
from supernet.data.loading import Loader, Part


class ImageData(pl.LightningDataModule):
    """Passes over some images as of the trainer's epoch, on the trainer's device.

    The order is made here, not by samplers that the trainer could exchange; it needs ``use_distributed_sampler=False``
    and, as the loaders ask for the epoch themselves, ``reload_dataloaders_every_n_epochs=0``.
    """

    def __init__(self, images: Images) -> None:
        super().__init__()
        self.images = images

    def setup(self, stage: str) -> None:
        """Give batches as the trainer needs them: where, of what type, and this process's part of every pass."""
        assert self.trainer is not None
        self.images.to(self.trainer.strategy.root_device)
        self.images.share(Part(self.trainer.global_rank, self.trainer.world_size))
        self.images.dtype = torch.float64 if self.trainer.precision == "64-true" else torch.float32

    def teardown(self, stage: str) -> None:
        """The trainer has done its passes."""
        self.images.release()

    def epoch(self) -> int:
        """The trainer's current epoch."""
        assert self.trainer is not None
        return self.trainer.current_epoch


class SearchData(ImageData):
    """Trains on pairs of batches, one of each half; validates on the half ``valid`` as it is.

    Raises `UserError` at once where a half is smaller than a batch.
    """

    def __init__(self, images: Images) -> None:
        super().__init__(images)
        self.train = images.loader("train", self.epoch, shuffle=True, augment=True, drop_last=True)
        self.valid = images.loader("valid", self.epoch, shuffle=True, augment=True, drop_last=True)

    def train_dataloader(self) -> CombinedLoader:
        """``{"train": batch, "valid": batch}``, as often as the smaller half has a whole batch."""
        return CombinedLoader({"train": self.train, "valid": self.valid}, mode="min_size")

    def val_dataloader(self) -> Loader:
        """All of the half ``valid`` without augmentation, always in the same mixed order.

        Mixed, because files come sorted by class, and a discretized architecture is judged with batch statistics: those
        of a batch of a single class would leave it at chance.
        """
        return self.images.loader("valid", shuffle=True)


class TrainData(ImageData):
    """Trains on the whole training set; validates and tests on the test set.

    Raises `UserError` at once where the training set is smaller than a batch.
    """

    def __init__(self, images: Images) -> None:
        super().__init__(images)
        self.all = images.loader("all", self.epoch, shuffle=True, augment=True, drop_last=True)

    def train_dataloader(self) -> Loader:
        """Whole batches of the training set, shuffled and augmented."""
        return self.all

    def val_dataloader(self) -> Loader:
        """All of the test set, in order and without augmentation."""
        return self.images.loader("test", self.epoch)

    def test_dataloader(self) -> Loader:
        """All of the test set, in order and without augmentation."""
        return self.images.loader("test", self.epoch)
