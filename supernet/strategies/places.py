"""Where a run's processes are: how many, on which devices and nodes, and who starts them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException

from supernet.errors import UserError


@dataclass(frozen=True)
class Places:
    """The processes of a run.

    Attributes:
        accelerator: ``cpu``, ``cuda``, ...
        devices: for each process on a node its device, by number.
        nodes: how many.
        node: the number of this one.
        local: the numbers of the processes that this one starts, on this node.
        address: of the first node, and its port; None for this machine and any port.
    """

    accelerator: str
    devices: tuple[int, ...]
    nodes: int = 1
    node: int = 0
    local: tuple[int, ...] = (0,)
    address: tuple[str, str] | None = None

    @property
    def size(self) -> int:
        """How many processes there are in all."""
        return len(self.devices) * self.nodes

    @property
    def leads(self) -> bool:
        """Whether the first of all processes is started here; whatever is done once is done here."""
        return self.node == 0 and 0 in self.local


ALONE = Places("cpu", (0,))


@dataclass(frozen=True)
class Start:
    """What the environment says of how this process was started; None where it says nothing.

    Attributes:
        node: the number of its node.
        local: its own on that node, where each process is started on its own.
        size: how many were started, on all nodes.
        address: of the first node, and its port.
    """

    node: int | None = None
    local: int | None = None
    size: int | None = None
    address: tuple[str, str] | None = None


def started(environment: Mapping[str, str] = os.environ) -> Start:
    """How ``torchrun``, SLURM or a user with Lightning's variables started this process."""
    numbers = {}
    for name in ("NODE_RANK", "GROUP_RANK", "LOCAL_RANK", "WORLD_SIZE", "SLURM_NTASKS"):
        if name in environment:
            try:
                numbers[name] = int(environment[name])
            except ValueError as error:
                raise UserError(f"{name}={environment[name]} in the environment: it must be a whole number") from error
    address = (environment.get("MASTER_ADDR"), environment.get("MASTER_PORT"))
    there = (address[0], address[1]) if address[0] is not None and address[1] is not None else None
    node = numbers.get("NODE_RANK", numbers.get("GROUP_RANK"))
    if "LOCAL_RANK" in numbers:
        return Start(node, numbers["LOCAL_RANK"], numbers.get("WORLD_SIZE"), there)
    if SLURMEnvironment.detect() and numbers.get("SLURM_NTASKS", 1) > 1:
        try:
            slurm = SLURMEnvironment()
        except RuntimeError as error:  # without the number of tasks on a node
            raise UserError(f"SLURM: {error}") from error
        here = (slurm.main_address, str(slurm.main_port))
        return Start(slurm.node_rank(), slurm.local_rank(), slurm.world_size(), here)
    return Start(node, address=there)


def places(
    accelerator: str, devices: list[int] | str | int, nodes: int, environment: Mapping[str, str] = os.environ
) -> Places:
    """Where the processes of a run are to be, from its trainer's settings and from the environment.

    ``torchrun`` and SLURM, with as many tasks as there are devices, start this command once for each process; so may a
    user with Lightning's variables. Otherwise the command on each node starts all of that node.

    Raises `UserError` for devices that are not there, and where nodes could not find each other.
    """
    trainer = bare(accelerator, devices)
    kind = trainer.accelerator.name()
    numbers = tuple(range(trainer.num_devices)) if kind == "cpu" else tuple(trainer.device_ids)
    size = len(numbers) * nodes
    if size == 1:
        return Places(kind, numbers)
    every, start = tuple(range(len(numbers))), started(environment)
    local, node = every if start.local is None else (start.local,), start.node or 0
    told = size if start.size is None else start.size
    if told != size or not 0 <= node < nodes or not set(local) <= set(every):
        raise UserError(
            f"trainer.devices and trainer.num_nodes make {len(numbers)} processes on each of {nodes} nodes, but this "
            f"is process {local[0]} on node {node}, of {told} in all; let them agree"
        )
    if start.address is None:
        if nodes == 1 and local == every:
            return Places(kind, numbers, local=every)
        raise UserError(
            f"trainer.num_nodes={nodes}: start the same command on every node with NODE_RANK (0 to {nodes - 1}), "
            "MASTER_ADDR (the address of the first) and MASTER_PORT (a free port there) in the environment, or let "
            "torchrun or SLURM start it"
        )
    return Places(kind, numbers, nodes, node, local, start.address)


def leads(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this is the first of the commands that were started for one run, or the only one."""
    return all(environment.get(name, "0") == "0" for name in ("NODE_RANK", "GROUP_RANK", "LOCAL_RANK", "SLURM_PROCID"))


def bare(accelerator: str, devices: list[int] | str | int) -> pl.Trainer:
    """A trainer that says what there is. Raises `UserError` where it is not there."""
    try:
        return pl.Trainer(
            accelerator=accelerator, devices=devices, logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, plugins=[LightningEnvironment()],
        )  # fmt: skip
    except (ValueError, TypeError, RuntimeError, MisconfigurationException) as error:
        remedy = (
            "; use trainer=auto, which takes what there is, or trainer=cpu" if "backend found" in str(error) else ""
        )
        raise UserError(f"trainer: {error}{remedy}") from error
