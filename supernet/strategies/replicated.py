"""The strategy of a run in several processes, each with the whole module and its part of every batch."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytorch_lightning as pl
import torch.distributed as dist
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy

from supernet.averages import SyncedBatchNorms


class Replicated(DDPStrategy):
    """Processes that were started with their ranks in the environment (`supernet.strategies.worker`).

    Args:
        timeout: of an exchange between them.
        sync_batchnorm: let batch norms take the statistics of the whole batch while training.

    A module that optimizes automatically is wrapped as usual. One that optimizes by hand averages its gradients itself
    (`supernet.averages.mean`): those of `torch.autograd.grad` never reach the hooks of torch's wrapper, which would
    also wait for parameters that a sampled network does not use.
    """

    def __init__(self, timeout: timedelta, sync_batchnorm: bool = False) -> None:
        # A network may have operations that lead nowhere, and torch warns where none has.
        warnings.filterwarnings("ignore", message="find_unused_parameters=True was specified")
        super().__init__(cluster_environment=LightningEnvironment(), timeout=timeout, find_unused_parameters=True)
        self.sync_batchnorm = sync_batchnorm

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        """A step, with batch norms that see the whole batch if asked to."""
        with SyncedBatchNorms() if self.sync_batchnorm else nullcontext():
            return super().training_step(*args, **kwargs)

    def configure_ddp(self) -> None:
        """Wrap the module, or leave it as it is."""
        assert isinstance(self.lightning_module, pl.LightningModule)
        if self.lightning_module.automatic_optimization:
            super().configure_ddp()


def backend(accelerator: str) -> str:
    """What tensors on this accelerator are exchanged by."""
    return "nccl" if accelerator in ("cuda", "gpu") and dist.is_nccl_available() else "gloo"
