"""A callback that breaks one process of a run on purpose."""

import os
import signal

import pytorch_lightning as pl


class Fault(pl.Callback):
    """In the process of this rank: raise an error, or be killed, in the second batch of an epoch.

    Args:
        rank: of the process.
        how: ``raise`` or ``kill``.
        epoch: counted from 0.
    """

    def __init__(self, rank: int, how: str = "raise", epoch: int = 0) -> None:
        self.rank, self.how, self.epoch = rank, how, epoch

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        if (trainer.current_epoch, batch_idx, trainer.global_rank) != (self.epoch, 1, self.rank):
            return
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise ArithmeticError("broken on purpose")
