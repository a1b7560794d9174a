"""An epoch of ``search.py`` against a bare loop of the same steps: what trainer, log, callbacks and checkpoint cost.

    OMP_NUM_THREADS=1 python -m benchmarks.epoch --size reduced --data data.root=/path/to/images data.size=16
    OMP_NUM_THREADS=1 python -m benchmarks.epoch --size full --steps 8

The command runs as a user starts it, with its default callbacks, TensorBoard and checkpoints, on NAS-Bench-201. After
each of its steps a copy of the module does one in a plain loop: `training_step` with bare optimizers, without trainer
and without log, on batches of its own loaders; after each batch of the validation the bare forward passes of supernet
and discretized architecture. So both take turns in one process, and each has its processor time on one thread. The rest
of an epoch (reading off and drawing the architecture, history, checkpoint) has no counterpart in the loop. What single
parts of it all take is told below.

An epoch is told as one of so many steps as half of CIFAR-10 has, from what a step, a batch of the validation and the
rest have taken in the median epoch; the first epoch warms up. Without ``--data`` images are synthetic. The table is
also written to a file.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from benchmarks.measuring import heading, parser, publish
from supernet.data.modules import SearchData
from supernet.modules.search import SearchModule
from supernet.search import main as search

SIZES = {
    "reduced": ("search_space.channels=8", "search_space.cells_per_stage=1"),
    "full": ("search_space.channels=16", "search_space.cells_per_stage=5"),
}
PIXELS = {"reduced": 16, "full": 32}
EPOCH = (390, 391)  # steps and batches of the validation: halves of 25,000 images in batches of 64
FILE = "clock.json"
PARTS = ("steps", "validation", "rest")


class Clock(pl.Callback):
    """Measures the trainer's steps, and between them those of a bare loop; writes the seconds of every epoch."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, Any]] = []
        self.since = 0.0

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Copy the module."""
        assert isinstance(pl_module, SearchModule)
        self.bare = copy.deepcopy(pl_module)
        optimizers = self.bare.configure_optimizers()[0]
        self.bare.optimizers = lambda: optimizers  # type: ignore[method-assign, assignment]
        for owner, name in ((self.bare, "log"), (self.bare.measures, "step")):
            setattr(owner, name, lambda *_, **__: None)
        self.bare.train()
        self.watch(pl_module.measures, "step", "losses and accuracies of the steps")
        self.watch(pl_module, "log", "`self.log`")
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if callback is not self:
                self.watch(callback, "on_train_epoch_end", f"`{type(callback).__name__}` after an epoch")

    def watch(self, owner: Any, name: str, part: str) -> None:
        """Add up the time in a method."""
        method = getattr(owner, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            start = time.process_time()
            try:
                return method(*args, **kwargs)
            finally:
                parts = self.epochs[-1]["parts"]
                parts[part] = parts.get(part, 0.0) + time.process_time() - start

        setattr(owner, name, watched)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin an epoch in both."""
        self.lap("rest")
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, SearchData)
        how = {"shuffle": True, "augment": True, "drop_last": True}
        halves = [data.images.loader(half, data.epoch, **how) for half in ("train", "valid")]  # type: ignore[arg-type]
        self.batches = enumerate(zip(*halves, strict=False))
        sides = {side: dict.fromkeys(PARTS, 0.0) for side in ("trainer", "bare")}
        self.epochs.append({**sides, **dict.fromkeys(PARTS, 0), "parts": {}})
        self.since = time.process_time()

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, number: int) -> None:
        """What comes before the first step belongs to no step."""
        if number == 0:
            self.lap("rest")

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """A step of the trainer has ended: do one without it."""
        self.lap("steps")
        number, (train, valid) = next(self.batches)
        self.bare.training_step({"train": train, "valid": valid}, number)
        self.lap("steps", "bare")

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Prepare the same for the copy."""
        self.lap("rest")
        data = trainer.datamodule  # type: ignore[attr-defined]
        self.sub, self.mixture = self.bare.eval().discretized(), self.bare.alphas.judged()
        self.judged = iter(data.val_dataloader())
        self.since = time.process_time()

    def on_validation_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, number: int, loader: int = 0
    ) -> None:
        """Nor does the discretized architecture, read off once."""
        if number == 0:
            self.lap("rest")

    @torch.inference_mode()
    def on_validation_batch_end(self, *_: Any) -> None:
        """Likewise for a batch of the validation."""
        self.lap("validation")
        images, _labels = next(self.judged)
        self.bare.network(images, self.mixture.weights, self.mixture.edges)
        self.sub(images)
        self.lap("validation", "bare")

    def on_validation_end(self, *_: Any) -> None:
        """Go on training."""
        self.lap("rest")
        self.bare.train()
        self.since = time.process_time()

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write."""
        self.lap("rest")
        (Path(trainer.default_root_dir) / FILE).write_text(json.dumps(self.epochs))

    def lap(self, part: str, side: str = "trainer") -> None:
        """Add the time since the last moment."""
        now = time.process_time()
        if self.epochs:
            self.epochs[-1][side][part] += now - self.since
            self.epochs[-1][part] += side == "bare"
        self.since = time.process_time()


def measured(settings: list[str]) -> list[dict[str, Any]]:
    """The epochs of a search, the first left out."""
    with tempfile.TemporaryDirectory() as folder:
        clock = "+callbacks.clock={_target_: benchmarks.epoch.Clock}"
        sys.argv = ["search.py", *settings, clock, f"hydra.run.dir={folder}/run"]
        search()
        return list(json.loads((Path(folder) / "run" / FILE).read_text()))[1:]


def report(args: argparse.Namespace) -> str:
    """Measure; a table in Markdown."""
    size = PIXELS[args.size]
    count = 2 * 64 * args.steps
    data = args.data or ["data=synthetic", f"data.size={size}", f"data.num_images={count}"]
    data = [*data, "data=image_folder"] if args.data else [*data, "data.crop_padding=4", "data.flip=true"]
    limits = [f"trainer.limit_train_batches={args.steps}", f"trainer.limit_val_batches={args.steps}"]
    epochs = measured(["trainer=cpu", *SIZES[args.size], *data, *limits, f"epochs={args.epochs + 1}", *args.settings])
    facts = f"batch 64, {size}x{size} pixels, {args.epochs} epochs of {args.steps} steps, told for {EPOCH[0]}; seconds."
    lines = [
        *heading(f"An epoch on nasbench201, {args.size} size", torch.device("cpu"), facts),
        "| | search.py | bare loop | ratio | difference [ms] |",
        "|---|---|---|---|---|",
    ]
    times = {
        (side, part): statistics.median(
            epoch[side][part] / (epoch[part] if part != "rest" else 1) for epoch in epochs
        )
        for side in ("trainer", "bare")
        for part in PARTS
    }  # fmt: skip
    factors = dict(zip(PARTS, (*EPOCH, 1), strict=True))
    names = {"steps": f"{EPOCH[0]} steps", "validation": f"{EPOCH[1]} batches of the validation", "rest": "the rest"}
    for part, name in names.items():
        own, bare = (factors[part] * times[side, part] for side in ("trainer", "bare"))
        ratio = f"{own / bare:.3f}x" if bare else ""
        unit = (own - bare) / factors[part]
        lines.append(f"| {name} | {own:.2f} | {bare:.2f} | {ratio} | {1000 * unit:.2f} each |")
    own, bare = (sum(factors[part] * times[side, part] for part in PARTS) for side in ("trainer", "bare"))
    lines.append(f"| an epoch | {own:.2f} | {bare:.2f} | {own / bare:.3f}x | {1000 * (own - bare):.0f} |")
    lines += ["", f"| of an epoch of {args.steps} steps | ms |", "|---|---|"]
    for part in sorted({part for epoch in epochs for part in epoch["parts"]}):
        value = statistics.median(epoch["parts"].get(part, 0.0) for epoch in epochs)
        if value >= 1e-3:
            lines.append(f"| {part} | {1000 * value:.0f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print and write."""
    made = parser(__doc__, epochs=3)
    made.add_argument("--size", choices=SIZES, default="reduced")
    made.add_argument("--steps", type=int, default=100, help="in an epoch, and batches of its validation")
    made.add_argument("--data", nargs="*", default=[], help="settings of data=image_folder")
    made.add_argument("--settings", nargs="*", default=[], help="further settings of the search")
    args = made.parse_args()
    torch.set_num_threads(1)
    publish(report(args), f"epoch_{args.size}_cpu")


if __name__ == "__main__":
    main()
