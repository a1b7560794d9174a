"""The search: a supernet's weights and its architecture parameters, trained in turn or together."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypedDict, cast

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics.classification import MulticlassAccuracy

from search_spaces.architecture import Architecture
from search_spaces.network import Network
from search_spaces.space import SearchSpace
from supernet import gradients, seeds
from supernet.errors import UserError
from supernet.formulations.base import Batch, Formulation, Problem
from supernet.relaxations.base import Relaxation

ALPHA_STD = 1e-3  # alpha starts at 1e-3 * N(0, 1) (Liu et al., 2019)
OBJECTIVES = ("accuracy/supernet", "accuracy/discretized", "loss/supernet")  # measured in every search
LEVELS = ("weights", "alphas")  # the training half moves the weights, the validation half the alphas


class Halves(TypedDict):
    """A batch of each half of the training set."""

    train: Batch
    valid: Batch


def check_precision(precision: str | int | None) -> None:
    """Raise `UserError` where a search cannot be exact enough.

    Half precision needs a loss scaling that a search takes its gradients past, and alphas kept in bfloat16 would round
    their small updates away.
    """
    if str(precision).startswith("16"):
        raise UserError(
            f"trainer.precision={precision} needs loss scaling, which torch.autograd.grad skips; "
            "use trainer.precision=bf16-mixed"
        )
    if str(precision) == "bf16-true":
        raise UserError("trainer.precision=bf16-true would round the updates of the alphas away; use bf16-mixed")


class SearchModule(pl.LightningModule):
    """Wires a search space, a relaxation and a formulation to two optimizers.

    Args:
        space: what is searched.
        relaxation: from alpha to mixing weights.
        formulation: how the gradients of alpha and of the weights are formed.
        weight_optimizer: called with the network's parameters, gives their optimizer.
        arch_optimizer: called with the alphas; a ``weight_decay`` of None means the relaxation's own.
        scheduler: called with the weights' optimizer; stepped once an epoch.
        seed: determines initial weights, initial alphas and all noise.
        clip: largest norm of the weights' gradient; 0 turns clipping off.
        warmup_epochs: first epochs in which only the weights move.

    Logged, accuracies as fractions: in training ``loss/*`` and ``accuracy/*`` of the two halves (``weights``,
    ``alphas``); in validation on the held-out half those of the ``supernet`` under its mean mixture, the accuracy of
    the ``discretized`` architecture with inherited weights, and the ``discretization_gap`` between the two.
    """

    def __init__(
        self,
        space: SearchSpace,
        relaxation: Relaxation,
        formulation: Formulation,
        weight_optimizer: Callable[..., Optimizer],
        arch_optimizer: functools.partial[Optimizer],
        scheduler: Callable[..., LRScheduler],
        seed: int = 0,
        clip: float = 5.0,
        warmup_epochs: int = 0,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.space = space
        self.relaxation = relaxation
        self.formulation = formulation
        self.weight_optimizer = weight_optimizer
        self.arch_optimizer = arch_optimizer
        self.scheduler = scheduler
        self.seed = seed
        self.clip = clip
        self.warmup_epochs = warmup_epochs

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeds.derive(seed, seeds.WEIGHTS))
            self.network: Network = space.supernet().to(memory_format=torch.channels_last)
            torch.manual_seed(seeds.derive(seed, seeds.ALPHAS))
            self.alphas = nn.ParameterDict(
                {cell: nn.Parameter(ALPHA_STD * torch.randn(table.shape)) for cell, table in space.allowed.items()}
            )
        for cell, table in space.allowed.items():
            self.register_buffer(f"allowed_{cell}", table.clone(), persistent=False)
        self._names = [name for name, _ in self.network.named_parameters()]
        self._weights = list(self.network.parameters())
        metric = functools.partial(MulticlassAccuracy, space.num_classes, average="micro", validate_args=False)
        self.accuracies = nn.ModuleDict({name: metric() for name in (*LEVELS, "supernet", "discretized")})
        self._discretized: list[Network] = []  # a list, so that it is not a part of this module's state

    # ---------------------------------------------------------------------------------------------- architecture

    def mixture(self) -> dict[str, Tensor]:
        """The deterministic mixing weights ``(edges, operations)`` of each cell type, detached."""
        return {cell: self.relaxation.mean(alpha, self._allowed(cell)).detach() for cell, alpha in self.alphas.items()}

    def genotype(self) -> Architecture:
        """The architecture that the alphas stand for now."""
        return self.space.discretize(self.mixture())

    def discretized(self) -> Network:
        """The stand-alone network of `genotype` with the supernet's weights.

        It is in training mode, so that batch norm uses the statistics of the batch: the inherited ones are those of the
        mixture and would leave any architecture at chance.
        """
        network = self.space.network(self.genotype()).to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        network.inherit(self.network)
        return network.train()

    def _allowed(self, cell: str) -> Tensor:
        return self.get_buffer(f"allowed_{cell}")

    # -------------------------------------------------------------------------------------------------- training

    def setup(self, stage: str) -> None:
        """Refuse what would give silently wrong gradients."""
        check_precision(self.trainer.precision)
        if self.trainer.world_size > 1:
            raise UserError(f"a search runs on one device, not {self.trainer.world_size}; use trainer.devices=1")

    def configure_optimizers(self) -> Any:
        """SGD for the weights with its scheduler, Adam for the alphas (unless configured otherwise)."""
        weights = self.weight_optimizer(self._weights)
        options = dict(self.arch_optimizer.keywords)
        if options.get("weight_decay", 0.0) is None:
            options["weight_decay"] = self.relaxation.weight_decay
        arch = self.arch_optimizer.func(list(self.alphas.parameters()), **options)
        return [weights, arch], [self.scheduler(weights)]

    def on_train_epoch_start(self) -> None:
        """Make whatever this epoch draws from the global generator a function of (seed, epoch)."""
        torch.manual_seed(seeds.derive(self.seed, seeds.EPOCH, self.current_epoch))
        for name, optimizer in zip(LEVELS, self.trainer.optimizers, strict=True):
            self.log(f"lr/{name}", optimizer.param_groups[0]["lr"])
        self.relaxation.anneal(self.current_epoch / max(1, self.trainer.max_epochs or 1))

    def training_step(self, batch: Halves, batch_idx: int) -> None:
        """One update of the alphas (after the warm-up) and one of the weights."""
        train, valid = batch["train"], batch["valid"]
        noise = seeds.derive(self.seed, seeds.NOISE, self.current_epoch, batch_idx)
        seen: dict[str, tuple[Tensor, Tensor]] = {}  # the first loss and logits of each half, for the log

        def loss(weights: Sequence[Tensor], arch: Sequence[Tensor], part: Batch) -> Tensor:
            self.relaxation.seed(noise, self.device)  # all passes of a step share one sample
            value, logits = self._loss(weights, arch, part)
            seen.setdefault("weights" if part is train else "alphas", (value.detach(), logits.detach()))
            return value

        weight_optimizer, arch_optimizer = self.optimizers()  # type: ignore[attr-defined]
        alphas = list(self.alphas.parameters())
        problem = Problem(self._weights, alphas, loss, lr=weight_optimizer.param_groups[0]["lr"])
        if self.current_epoch < self.warmup_epochs:
            self._step_weights(weight_optimizer, self.formulation.weight_grads(problem, train, valid))
        elif self.formulation.simultaneous:
            arch_grads, weight_grads = self.formulation.joint_grads(problem, train, valid)
            self._step_alphas(arch_optimizer, alphas, arch_grads)
            self._step_weights(weight_optimizer, weight_grads)
        else:
            self._step_alphas(arch_optimizer, alphas, self.formulation.arch_grads(problem, train, valid))
            self._step_weights(weight_optimizer, self.formulation.weight_grads(problem, train, valid))
        self._log_step(seen, {"weights": train, "alphas": valid})

    def _loss(self, weights: Sequence[Tensor], arch: Sequence[Tensor], batch: Batch) -> tuple[Tensor, Tensor]:
        images, labels = batch
        mixture = {
            cell: self.relaxation(alpha, self._allowed(cell)) for cell, alpha in zip(self.alphas, arch, strict=True)
        }
        if weights is self._weights:
            logits = self.network(images, mixture)
        else:
            logits = functional_call(self.network, dict(zip(self._names, weights, strict=True)), (images, mixture))
        return F.cross_entropy(logits, labels), logits

    def _step_alphas(self, optimizer: Any, alphas: Sequence[Tensor], grads: Sequence[Tensor]) -> None:
        penalty = torch.stack(
            [self.relaxation.penalty(alpha, self._allowed(cell)) for cell, alpha in self.alphas.items()]
        ).sum()
        pulls = gradients.grad(penalty, alphas) if penalty.requires_grad else [torch.zeros_like(a) for a in alphas]
        for alpha, grad, pull in zip(alphas, grads, pulls, strict=True):
            alpha.grad = grad + pull
        self._log_norm("alphas", gradients.norm(grads))
        optimizer.step()

    def _step_weights(self, optimizer: Any, grads: Sequence[Tensor]) -> None:
        for weight, grad in zip(self._weights, grads, strict=True):
            weight.grad = grad
        norm = nn.utils.clip_grad_norm_(self._weights, self.clip) if self.clip else gradients.norm(grads)
        self._log_norm("weights", norm)
        optimizer.step()

    def on_train_epoch_end(self) -> None:
        """Advance the learning rate of the weights."""
        scheduler = self.lr_schedulers()
        assert isinstance(scheduler, LRScheduler)
        scheduler.step()

    # ------------------------------------------------------------------------------------------------ validation

    def on_validation_epoch_start(self) -> None:
        """Read off the architecture once for all batches."""
        self._discretized = [self.discretized()]
        self._mixture = self.mixture()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """The supernet under its mean mixture, and the discretized architecture with inherited weights."""
        images, labels = batch
        logits = self.network(images, self._mixture)
        self.log("loss/supernet", F.cross_entropy(logits, labels), batch_size=len(labels))
        self._accuracy("supernet").update(logits, labels)
        self._accuracy("discretized").update(self._discretized[0](images), labels)

    def on_validation_epoch_end(self) -> None:
        """Log both accuracies and their difference."""
        supernet, discretized = (self._accuracy(name).compute() for name in ("supernet", "discretized"))
        self.log("accuracy/supernet", supernet, prog_bar=True)
        self.log("accuracy/discretized", discretized, prog_bar=True)
        self.log("accuracy/discretization_gap", supernet - discretized)
        for name in ("supernet", "discretized"):
            self._accuracy(name).reset()
        self._discretized = []

    # --------------------------------------------------------------------------------------------------- logging

    def _accuracy(self, name: str) -> MulticlassAccuracy:
        return cast(MulticlassAccuracy, self.accuracies[name])

    def _log_norm(self, level: str, norm: Tensor) -> None:
        self.log(f"step/gradient_norm_{level}", norm)

    def _log_step(self, seen: dict[str, tuple[Tensor, Tensor]], batches: dict[str, Batch]) -> None:
        for level, (loss, logits) in seen.items():
            labels = batches[level][1]
            self.log(f"step/loss_{level}", loss, prog_bar=True)
            self.log(f"loss/{level}", loss, on_step=False, on_epoch=True, batch_size=len(labels))
            self._accuracy(level).update(logits, labels)
            self.log(f"accuracy/{level}", self._accuracy(level), on_step=False, on_epoch=True, prog_bar=True)
