"""``python -m supernet.latency``: measure how long each operation of a search space takes on this device."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track
from rich.table import Table

from search_spaces.space import SearchSpace
from supernet.compose import build, check
from supernet.costs.measurements import Measurements
from supernet.costs.measuring import measure
from supernet.errors import UserError
from supernet.launch import launch

log = logging.getLogger("supernet")
UNSTEADY = 0.2  # share of the time by which repeated measurements may differ
SHOWN = 10  # operations in the table


def main() -> None:
    """The command ``supernet-latency``."""
    launch(latency, "latency")


def latency(cfg: DictConfig) -> None:
    """Write ``latency.json``, which ``cost=latency cost.path=...`` takes, and ``latency.csv``; show the slowest."""
    check(cfg)
    for name, least in {"repeats": 1, "architectures": 2, "threads": 1}.items():
        if cfg[name] is not None and (not isinstance(cfg[name], int) or cfg[name] < least):
            raise UserError(f"{name}={cfg[name]}: it must be a whole number, at least {least}")
    device = chosen_device(str(cfg.accelerator))
    space: SearchSpace = build(cfg.search_space, "search_space")
    image = (space.in_channels, *height_and_width(cfg.size))

    def rounds(count: int) -> Iterable[int]:
        log.info("timing %d operations and networks of %s on %s", count, space.name, device)
        return track(range(cfg.repeats), description="measuring", console=Console(stderr=True))

    torch.manual_seed(cfg.seed)
    architectures = space.sample(cfg.architectures, torch.Generator().manual_seed(cfg.seed))
    threads = cfg.threads or torch.get_num_threads()
    found, spread = measure(space, image, architectures, cfg.batch_size, device, threads, rounds)
    path = found.save(Path(cfg.run_dir))
    path = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    if spread > UNSTEADY:
        log.warning("repeated measurements differ by %.0f %%: measure again when the device is idle", 100 * spread)
    console = Console()
    console.print(summary(found))
    for line in (
        f"not searched: {found.fixed:.3f} ms",
        f"sums against {len(architectures)} whole networks: off by {100 * found.check['relative_error']:.1f} % on "
        f"average, Kendall's tau {found.check['kendall_tau']:.2f}",
        f"search with: python search.py cost=latency cost.path={path}",
    ):
        console.print(line, soft_wrap=True, highlight=False)


def chosen_device(accelerator: str) -> torch.device:
    """The device that ``accelerator=`` names. Raises `UserError` where there is none such."""
    if accelerator not in ("auto", "cpu", "cuda"):
        raise UserError(f"accelerator={accelerator}: it must be auto, cpu or cuda")
    if accelerator == "cuda" and not torch.cuda.is_available():
        raise UserError("accelerator=cuda: torch finds no such device here; use accelerator=cpu")
    return torch.device("cuda" if accelerator != "cpu" and torch.cuda.is_available() else "cpu")


def height_and_width(size: int | Sequence[int]) -> tuple[int, int]:
    """(h, w) from one number for both or from the two."""
    values = (size, size) if isinstance(size, int) else tuple(size)
    if len(values) != 2 or not all(isinstance(value, int) and value > 0 for value in values):
        raise UserError(f"size={size}: give one number of pixels, size=64, or height and width, 'size=[64,48]'")
    return values[0], values[1]


def summary(found: Measurements) -> Table:
    """The operations that take longest."""
    table = Table(
        title=f"The slowest of {len(found.operations)} operations: {found.search_space}, batches of "
        f"{found.batch_size}, {found.device}",
        title_justify="left",
    )
    for name in ("operation", "stride", "input", "places", "ms"):
        table.add_column(name, justify="left" if name == "operation" else "right")
    for timed in sorted(found.operations, key=lambda timed: -timed.milliseconds)[:SHOWN]:
        shape = timed.shape
        size = "x".join(map(str, shape.input))
        table.add_row(shape.operation, str(shape.stride), size, str(timed.places), f"{timed.milliseconds:.3f}")
    return table


if __name__ == "__main__":
    main()
