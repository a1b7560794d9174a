"""A callback that breaks one process of a run on purpose."""

import errno
import os
import signal

import pytorch_lightning as pl


class Fault(pl.Callback):
    """In the process of this rank, before a batch: raise an error, be killed, be asked to end, or find the disk full.

    Args:
        rank: of the process.
        how: ``raise``, ``kill``, ``ask`` or ``disk``.
        epoch: counted from 0.
        batch: counted from 0.
    """

    def __init__(self, rank: int, how: str = "raise", epoch: int = 0, batch: int = 1) -> None:
        self.rank, self.how, self.moment = rank, how, (epoch, batch)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        if ((trainer.current_epoch, batch_idx), trainer.global_rank) != (self.moment, self.rank):
            return
        if self.how == "raise":
            raise ArithmeticError("broken on purpose")
        if self.how == "disk":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "checkpoint")
        os.kill(os.getpid(), {"kill": signal.SIGKILL, "ask": signal.SIGTERM}[self.how])
