"""Checkpoints that are whole or not there, and that can only hold data."""

from __future__ import annotations

import io
import logging
import re
import zipfile
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.io import CheckpointIO

from supernet.errors import UserError
from supernet.files import write_atomically

log = logging.getLogger("supernet")
PARTS = {"state_dict", "optimizer_states", "callbacks", "loops"}
NAME = re.compile(r"(epoch|within)_(\d+)\.ckpt")


class AtomicCheckpointIO(CheckpointIO):
    """Writes a checkpoint under a temporary name and renames it; loads tensors and plain values, never code.

    Lightning's own writer goes through a temporary file that may lie on another file system, where the last step is a
    copy that a crash can cut short.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write atomically."""
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, buffer.getvalue())

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        """Load with ``weights_only=True``, whatever is asked. Raises `UserError` for a file that is no checkpoint."""
        try:
            content = torch.load(path, map_location=map_location, weights_only=True)
        except FileNotFoundError:
            raise
        except Exception as error:  # a damaged file makes the readers raise nearly anything
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UserError(f"{path} is no checkpoint that can be loaded as data: {reason}") from error
        if not isinstance(content, dict):
            raise UserError(f"{path} is no checkpoint: it holds a {type(content).__name__}")
        return content

    def remove_checkpoint(self, path: Any) -> None:
        """Delete a checkpoint."""
        Path(path).unlink(missing_ok=True)


class EpochCheckpoint(pl.callbacks.Checkpoint):
    """Writes ``<folder>/epoch_0007.ckpt`` after the seventh epoch, and so on, and keeps the newest two.

    The trainer runs checkpoint callbacks after all others, so that what those remember of the epoch is in the file.

    Args:
        folder: where they are.
        every: keep that of every so many epochs too; None for the newest two only.
    """

    def __init__(self, folder: Path, every: int | None = None) -> None:
        self.folder = folder
        self.every = every

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save, then remove what is older than the epoch before."""
        trainer.save_checkpoint(self.folder / f"epoch_{trainer.current_epoch + 1:04d}.ckpt", weights_only=False)
        if trainer.is_global_zero:
            within(self.folder, trainer.current_epoch + 1).unlink(missing_ok=True)
            for number, path in list(kept_checkpoints(self.folder).items())[:-2]:
                if not self.every or number % self.every:
                    path.unlink(missing_ok=True)


def within(folder: Path, epoch: int) -> Path:
    """The checkpoint of the midst of an epoch, counted from 1."""
    return folder / f"within_{epoch:04d}.ckpt"


def kept_checkpoints(folder: Path) -> dict[int, Path]:
    """The checkpoints after epochs that are there by their epoch, the oldest first."""
    return {epoch: path for epoch, ended, path in _numbered(folder) if ended}


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that is whole, None where there is none; a damaged one is passed over with a warning."""
    for _, _, path in reversed(_numbered(folder)):
        try:
            with zipfile.ZipFile(path) as archive:
                damaged = archive.testzip()  # reads everything and compares the checksums
            if damaged is None:
                content = AtomicCheckpointIO().load_checkpoint(path)
                if set(content) >= PARTS:
                    return path
                damaged = f"it lacks {', '.join(sorted(PARTS - set(content)))}"
        except Exception as error:  # likewise
            damaged = str(error)
        log.warning("%s is damaged (%s); going back to the one before", path, damaged)
    return None


def _numbered(folder: Path) -> list[tuple[int, bool, Path]]:
    """For each checkpoint its epoch and whether that has ended, in the order in which they were written."""
    matches = [(NAME.fullmatch(path.name), path) for path in folder.glob("*.ckpt")]
    return sorted((int(match[2]), match[1] == "epoch", path) for match, path in matches if match)
