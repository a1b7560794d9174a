"""The search: a supernet's weights and its architecture parameters, trained in turn or together."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, TypedDict

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from search_spaces.architecture import Architecture
from search_spaces.network import Network, Recomputed, widening
from search_spaces.space import SearchSpace
from supernet import averages, gradients, seeds
from supernet.alphas import Alphas, Mixture
from supernet.costs.base import CostTerm
from supernet.errors import UserError
from supernet.formulations.base import Batch, Formulation, Problem
from supernet.modules.capture import Logits, Passes, recorder
from supernet.modules.compilation import check_statistics, compile_cells, obstacle, release
from supernet.modules.finite import Guard
from supernet.modules.measures import LEVELS, Measures, Seen
from supernet.modules.precision import FULL, check_precision, cosine, full_precision, half
from supernet.modules.structure import forget, replace_parameters, transfer, transfer_optimizer
from supernet.optimizers import fused
from supernet.perturbations.base import Perturbation
from supernet.relaxations.base import Relaxation
from supernet.seeds import global_generator

log = logging.getLogger("supernet")

OBJECTIVES = ("accuracy/supernet", "accuracy/discretized", "loss/supernet")  # measured wherever a supernet is trained
STRUCTURE = "supernet"  # the key in a checkpoint


class Halves(TypedDict):
    """A batch of each half of the training set."""

    train: Batch
    valid: Batch


def check_combination(relaxation: Relaxation, perturbation: Perturbation | None, cost: CostTerm | None) -> None:
    """Raise `UserError` for what a relaxation cannot be combined with."""
    name = type(relaxation).__name__
    if perturbation is not None and (relaxation.sparse or not relaxation.rows_sum_to_one):
        why = "runs one operation an edge" if relaxation.sparse else "has weights that do not sum to one"
        raise UserError(f"a perturbation moves mixtures of operations, but {name} {why}; use perturbation=none")
    if cost is not None and not relaxation.learns:
        raise UserError(f"a cost is a term in the loss of the alphas, and {name} learns none; use cost=none")


def choices(space: SearchSpace) -> dict[str, Tensor]:
    """For each cell type the operation on each edge of the pool's architectures ``(architectures, edges)``."""
    return {cell: torch.tensor([member[cell] for member in space.pool or ()]) for cell in space.edges}


def _possible(setting: str, why_not: str | None) -> bool:
    if why_not:
        log.warning("%s=true: going on without, because %s", setting, why_not)
    return not why_not


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
        warmup_epochs: first epochs, of each stage, in which only the weights move.
        weight_steps: updates of the weights for each of the alphas (the T of iDARTS).
        partial_channels: operations see one of so many parts of the channels (PC-DARTS).
        edge_normalization: weigh the edges that enter a node (PC-DARTS).
        perturbation: train the weights at a mixture near the current one (SDARTS).
        cost: a term for the size or the latency of the architecture in the loss of the alphas.
        max_skipped_steps: how many batches with a gradient that is not finite are left out; see `Guard`.
        recompute: what of the supernet is computed anew for the gradients, for less memory; None for nothing.
        arch_precision: of the alphas' gradients where the weights' are computed in ``bf16-mixed``: ``32-true``, in
            passes of their own, or the same. Then the cosine of the angle to the former is logged in every epoch.
        compiled: compile the cells, where relaxation and formulation allow that.
        captured: run the passes of a step as CUDA graphs, where device, relaxation and formulation allow that.

    Attributes:
        weights: the parameters of the network.
        measures: what is logged.

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
        weight_steps: int = 1,
        partial_channels: int = 1,
        edge_normalization: bool = False,
        perturbation: Perturbation | None = None,
        cost: CostTerm | None = None,
        max_skipped_steps: int = 0,
        recompute: Recomputed | None = None,
        arch_precision: str = FULL,
        compiled: bool = False,
        captured: bool = False,
    ) -> None:
        super().__init__()
        check_combination(relaxation, perturbation, cost)
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
        self.weight_steps = weight_steps
        self.partial_channels = partial_channels
        self.perturbation = perturbation
        self.cost = cost
        self.guard = Guard(max_skipped_steps)
        self.recompute = recompute
        self.arch_precision = arch_precision
        self.compiled = compiled and _possible("compile", obstacle(relaxation, formulation, recompute))
        self.captured = captured and _possible("cuda_graphs", obstacle(relaxation, formulation))
        self.stage_start = 0  # the epoch in which the current stage began
        self.found: Architecture | None = None  # what a callback chose as the result

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeds.derive(seed, seeds.WEIGHTS))
            try:
                network = space.supernet(partial_channels)
            except ValueError as error:  # such as channels that cannot be shared out
                raise UserError(f"search_space: {error}") from error
            torch.manual_seed(seeds.derive(seed, seeds.ALPHAS))
            destinations = {cell: [node for _, node in edges] for cell, edges in space.edges.items()}
            self.alphas = Alphas(
                relaxation,
                space.allowed,
                destinations,
                edge_normalization or space.edge_weights,
                None if space.pool is None else choices(space),
            )
        self._pass: Logits = self.logits
        self._use(network)
        self.measures = Measures(space.num_classes)
        self._batch = 0  # the number of the current one, for messages
        self._discretized: list[Network] = []  # a list, so that it is not a part of this module's state

    # ---------------------------------------------------------------------------------------------- architecture

    def mixture(self) -> dict[str, Tensor]:
        """The deterministic mixing weights ``(edges, operations)`` of each cell type, detached."""
        return self.alphas.mean().combined()

    def genotype(self) -> Architecture:
        """The architecture that the alphas stand for now, one of the pool where the space has one."""
        return self.space.decode(self.mixture())

    def discretized(self, architecture: Architecture | None = None) -> Network:
        """A network of one architecture (`genotype` unless given) with the supernet's weights.

        It is in training mode, so that batch norm uses the statistics of the batch: the inherited ones are those of the
        mixture and would leave any architecture at chance.
        """
        allowed = (architecture or self.genotype()).allowed(self.space.operations)
        network = self.space.build(allowed, searching=True, partial_channels=self.partial_channels)
        network = network.to(self.weights[0], memory_format=torch.channels_last)  # type: ignore[call-overload]
        network.inherit(self.network)
        return network.train()

    def rebuild(
        self,
        space: SearchSpace,
        partial_channels: int | None = None,
        *,
        fresh: bool = False,
        rescale: bool = False,
        stage: int | None = None,
    ) -> None:
        """Go on with another form of the supernet: fewer operations, more channels, or other cells.

        Args:
            space: the space from now on; unless ``fresh``, the same with fewer operations.
            partial_channels: the part of the channels that operations see; None leaves it.
            fresh: start with new weights and alphas; else both are carried over, with the optimizers' state.
            rescale: see `search_spaces.operations.Operation.adopt`.
            stage: the epoch in which the new stage begins, which starts a new warm-up; None goes on with this one.
        """
        partial_channels = partial_channels or self.partial_channels
        parent = self.network
        number = self.stage_start if stage is None else stage
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeds.derive(self.seed, seeds.WEIGHTS, number))
            network = space.supernet(partial_channels).to(self.weights[0])
            if fresh:
                torch.manual_seed(seeds.derive(self.seed, seeds.ALPHAS, number))
                self.alphas.redraw()
        maps = None
        if not fresh:
            if partial_channels != self.partial_channels:
                generator = torch.Generator().manual_seed(seeds.derive(self.seed, seeds.WIDENING, number))
                maps = widening(network, parent, generator)
            transfer(network, parent, maps, rescale)
        self.alphas.restrict(space.allowed)
        self.space, self.partial_channels, self.stage_start = space, partial_channels, number
        self._use(network)
        if self._trainer is not None and self.trainer.optimizers:
            weights, arch = self.trainer.optimizers
            if fresh:
                replace_parameters(weights, self.weights)
                arch.state.clear()
            else:
                transfer_optimizer(weights, self.network, parent, maps, rescale)
                forget(arch, {self.alphas[cell]: self.alphas.allowed(cell) for cell in space.allowed})

    def _use(self, network: Network) -> None:
        self.network: Network = network.to(memory_format=torch.channels_last)
        self.network.train(self.training)
        self.network.recompute(self.recompute)
        if self.compiled:
            compile_cells(self.network)
        self._names = [name for name, _ in self.network.named_parameters()]
        self.weights = list(self.network.parameters())
        self._norms = [layer for layer in self.network.modules() if isinstance(layer, nn.BatchNorm2d)]
        self._run_passes(self.captured)

    def _run_passes(self, captured: bool) -> None:
        """Run the passes of a step recorded from now on, or as they come."""
        if isinstance(self._pass, Passes):
            self._pass.release()
        self._pass = Passes(self.network, self.logits) if captured else self.logits

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what the supernet looks like now, which the configuration does not say."""
        checkpoint[STRUCTURE] = {
            "allowed": {cell: table.clone() for cell, table in self.space.allowed.items()},
            "arguments": self.space.arguments,
            "partial_channels": self.partial_channels,
            "stage_start": self.stage_start,
            "found": None if self.found is None else self.space.format(self.found),
            "skipped_steps": self.guard.skipped,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Give the supernet the form it had, so that its weights fit."""
        saved = checkpoint.get(STRUCTURE, {})
        if not saved:
            return
        space = self.space.resized(**saved["arguments"])
        self.rebuild(
            space.restrict(saved["allowed"], self.space.pool),
            saved["partial_channels"],
            fresh=True,
            stage=saved["stage_start"],
        )
        self.guard.skipped = saved.get("skipped_steps", 0)
        self.found = None if saved["found"] is None else self.space.parse(saved["found"])

    # -------------------------------------------------------------------------------------------------- training

    def setup(self, stage: str) -> None:
        """Refuse what would give silently wrong gradients."""
        check_precision(self.trainer.precision, self.formulation, self.arch_precision)
        if self.trainer.world_size != averages.processes():
            raise UserError("a search in several processes averages its gradients itself; use trainer=ddp")
        synchronised = getattr(self.trainer.strategy, "sync_batchnorm", False)
        check_statistics(self.recompute, self.compiled, self.captured, synchronised)
        device = self.trainer.strategy.root_device
        self.captured = self.captured and _possible("cuda_graphs", None if recorder(device) else f"{device} has none")
        self._run_passes(self.captured)

    def configure_optimizers(self) -> Any:
        """SGD for the weights with its scheduler, Adam for the alphas (unless configured otherwise)."""
        weights = fused(self.weight_optimizer, self.weights)
        options = dict(self.arch_optimizer.keywords)
        if options.get("weight_decay", 0.0) is None:
            options["weight_decay"] = self.relaxation.weight_decay
        arch = fused(functools.partial(self.arch_optimizer.func, **options), list(self.alphas.parameters()))
        return [weights, arch], [self.scheduler(weights)]

    def on_fit_end(self) -> None:
        """What follows, such as single paths, is run as it comes."""
        release(self.network)
        self._run_passes(False)

    def on_train_epoch_start(self) -> None:
        """Make whatever this epoch draws from the global generator a function of (seed, epoch)."""
        self.measures.begin()
        torch.manual_seed(seeds.derive(self.seed, seeds.EPOCH, self.current_epoch))
        for name, optimizer in zip(LEVELS, self.trainer.optimizers, strict=True):
            self.log(f"lr/{name}", optimizer.param_groups[0]["lr"])
        progress = min(1.0, self.current_epoch / max(1, (self.trainer.max_epochs or 1) - 1))
        self.relaxation.anneal(progress)
        if self.perturbation is not None:
            self.perturbation.anneal(progress)

    def training_step(self, batch: Halves, batch_idx: int) -> None:
        """One update of the alphas (after the warm-up, every ``weight_steps`` batches) and one of the weights."""
        train, valid = batch["train"], batch["valid"]
        weight_optimizer, arch_optimizer = self.optimizers()  # type: ignore[attr-defined]
        seen: Seen = {}
        self._batch = batch_idx
        problem, tracked = self._problems(weight_optimizer, train, batch_idx, seen)
        before = [tensor.clone() for tensor in self._running()] if self.guard.skips else []
        warming_up = self.current_epoch - self.stage_start < self.warmup_epochs
        if warming_up or batch_idx % self.weight_steps or not problem.arch:
            stepped = self._step_weights(weight_optimizer, self.formulation.weight_grads(tracked, train, valid))
        elif self.formulation.simultaneous and self.perturbation is None:
            if self._apart():
                arch_grads = self._arch_grads(problem, train, valid)
                weight_grads = self.formulation.weight_grads(tracked, train, valid)
            else:
                arch_grads, weight_grads = self.formulation.joint_grads(tracked, train, valid)
            self._compare(arch_grads, problem, train, valid)
            stepped = self._step_alphas(arch_optimizer, arch_grads)
            stepped = stepped and self._step_weights(weight_optimizer, weight_grads)
        else:
            arch_grads = self._arch_grads(problem, train, valid)
            self._compare(arch_grads, problem, train, valid)
            stepped = self._step_alphas(arch_optimizer, arch_grads)
            if stepped:
                grads = self.formulation.weight_grads(tracked, train, valid)
                stepped = self._step_weights(weight_optimizer, grads)
        if stepped:
            self.measures.step(seen, {"weights": train[1], "alphas": valid[1]})
        else:
            torch._foreach_copy_(self._running(), before)  # it may have seen what is not finite

    def _problems(self, optimizer: Any, train: Batch, batch_idx: int, seen: Seen) -> tuple[Problem, Problem]:
        """The problem for the gradients of the alphas, and that for the weights' own step.

        Only the latter updates the running statistics, with the training batch, and only it sees the perturbation: one
        update a step, whatever else a formulation passes through the network.
        """
        noise = seeds.derive(self.seed, seeds.NOISE, self.current_epoch, batch_idx)

        def loss(track: bool, weights: Sequence[Tensor], arch: Sequence[Tensor], part: Batch, sample: int) -> Tensor:
            # All passes of a step share their noise.
            self.relaxation.seed(noise, self.device, sample)
            global_generator(self.device).manual_seed(noise + sample)
            mixture = self.alphas.sample(arch)
            track = track and part is train
            if track and self.perturbation is not None:
                mixture = self._perturbed(mixture, part, noise + sample)
            logits = self._pass(weights, mixture, part[0], track)
            value = F.cross_entropy(logits, part[1])
            seen.setdefault("weights" if part is train else "alphas", (value.detach(), logits.detach()))
            return value

        group = optimizer.param_groups[0]
        states = [optimizer.state.get(weight, {}).get("momentum_buffer") for weight in self.weights]
        buffers = [buffer for buffer in states if buffer is not None]
        problem = Problem(
            self.weights,
            self.alphas.tensors(),
            functools.partial(loss, False),
            lr=group["lr"],
            samples=self.alphas.samples,
            momentum=group.get("momentum", 0.0),
            weight_decay=group.get("weight_decay", 0.0),
            buffers=buffers if len(buffers) == len(states) else None,
            reduce=averages.mean,
        )
        return problem, dataclasses.replace(problem, loss=functools.partial(loss, True))

    def _apart(self) -> bool:
        """Whether the alphas' gradients are computed in another precision than the weights'."""
        return half(self.device) and self.arch_precision == FULL

    def _arch_grads(self, problem: Problem, train: Batch, valid: Batch) -> Sequence[Tensor]:
        with full_precision(self.device) if self._apart() else nullcontext():
            return self.formulation.arch_grads(problem, train, valid)

    def _compare(self, grads: Sequence[Tensor], problem: Problem, train: Batch, valid: Batch) -> None:
        """In the first batch of an epoch log what half precision does to the alphas' gradients."""
        if self._batch or not half(self.device) or self._apart():
            return
        with full_precision(self.device):
            exact = self.formulation.arch_grads(problem, train, valid)
        self.measures.turned(cosine(grads, exact))

    def rehearse(self, batch: Halves) -> None:
        """All the gradients of a step, which then come to nothing: to see what they take."""
        self._run_passes(False)
        train, valid = batch["train"], batch["valid"]
        problem, tracked = self._problems(self.configure_optimizers()[0][0], train, 0, {})
        if problem.arch:
            self.formulation.arch_grads(problem, train, valid)
        self.formulation.weight_grads(tracked, train, valid)

    def logits(self, weights: Sequence[Tensor], mixture: Mixture, images: Tensor, track: bool) -> Tensor:
        """The supernet's logits at any weights (in the order of `weights`); ``track`` updates running statistics."""
        inputs = (images, mixture.weights, mixture.edges, mixture.only)
        for layer in self._norms:
            layer.track_running_stats = track
        try:
            if weights is self.weights:
                return self.network(*inputs)
            return functional_call(self.network, dict(zip(self._names, weights, strict=True)), inputs)
        finally:
            for layer in self._norms:
                layer.track_running_stats = True

    def _running(self) -> list[Tensor]:
        return [getattr(layer, name) for layer in self._norms for name in ("running_mean", "running_var")]

    def _perturbed(self, mixture: Mixture, batch: Batch, seed: int) -> Mixture:
        assert self.perturbation is not None
        generator = torch.Generator(self.device).manual_seed(seed)

        def loss(weights: Mapping[str, Tensor]) -> Tensor:
            frozen = dict(zip(self._names, gradients.detached(self.weights), strict=True))
            return F.cross_entropy(functional_call(self.network, frozen, (batch[0], weights, mixture.edges)), batch[1])

        self.network.eval()
        try:
            allowed = {cell: self.alphas.allowed(cell) for cell in mixture.weights}
            return Mixture(self.perturbation.perturb(mixture.weights, allowed, loss, generator), mixture.edges)
        finally:
            self.network.train()

    def _step_alphas(self, optimizer: Any, grads: Sequence[Tensor]) -> bool:
        norm = gradients.norm(grads)
        if self._refused("alphas", norm):
            return False
        alphas = self.alphas.tensors()
        penalty = self.alphas.penalty()
        if self.cost is not None:
            expected = self.cost.expected(self.alphas.expected(alphas))
            penalty = penalty + self.cost.term(expected)
            self.measures.newest[f"step/cost_{self.cost.unit}"] = expected.detach()
        pulls = gradients.grad(penalty, alphas) if penalty.requires_grad else [torch.zeros_like(a) for a in alphas]
        for alpha, grad, pull in zip(alphas, grads, pulls, strict=True):
            alpha.grad = grad + pull
        optimizer.step()
        return True

    def _step_weights(self, optimizer: Any, grads: Sequence[Tensor]) -> bool:
        for weight, grad in zip(self.weights, grads, strict=True):
            weight.grad = grad
        norm = nn.utils.clip_grad_norm_(self.weights, self.clip) if self.clip else gradients.norm(grads)
        if self._refused("weights", norm):
            return False
        optimizer.step()
        return True

    def _refused(self, level: str, norm: Tensor) -> bool:
        """Whether a step with a gradient of this norm must not be done; note the norm if it may."""
        refused = self.guard.refuses(level, norm, self.current_epoch, self._batch)
        if not refused:
            self.measures.newest[f"step/gradient_norm_{level}"] = norm
        return refused

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log what somebody reads."""
        self.measures.tell(self.log, values=self.trainer._logger_connector.should_update_logs)

    def on_train_epoch_end(self) -> None:
        """Advance the learning rate of the weights; make sure that all processes still search the same."""
        self.guard.check()
        if not averages.equal(self.alphas.tensors()):
            raise RuntimeError("the alphas are not the same in all processes; please report this")
        scheduler = self.lr_schedulers()
        assert isinstance(scheduler, LRScheduler)
        scheduler.step()

    # ------------------------------------------------------------------------------------------------ validation

    def on_validation_epoch_start(self) -> None:
        """Read off the architecture once for all batches; let all processes judge with the same running statistics."""
        running = self._running()
        torch._foreach_copy_(running, averages.mean(running))
        self._discretized = [self.discretized()]
        self._mixture = self.alphas.judged()
        if self.relaxation.batch_statistics:
            for layer in self._norms:
                layer.train().track_running_stats = False

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """The supernet under the mixture that is judged, and the discretized architecture with inherited weights."""
        images, labels = batch
        logits = self.network(images, self._mixture.weights, self._mixture.edges)
        self.measures.judge(logits, self._discretized[0](images), labels)

    def on_validation_epoch_end(self) -> None:
        """Log the loss, both accuracies and their difference."""
        for name, value in self.measures.judgement().items():
            self.log(name, value, prog_bar=name in ("accuracy/supernet", "accuracy/discretized"))
        self._discretized = []
        for layer in self._norms:
            layer.track_running_stats = True
