"""One of the processes of a run: ``python -m supernet.strategies.worker``, started by `launching.run_workers`."""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import threading
import traceback
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

from supernet.errors import UserError
from supernet.files import write_atomically
from supernet.strategies.launching import FAILURE, KEY, LIFELINE, Order
from supernet.strategies.replicated import backend

TASKS = {"search": "supernet.search", "train": "supernet.train"}


def main() -> None:
    """Join the other processes, ask the first what is to be done, and do it."""
    rank = int(os.environ["RANK"])
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.basicConfig(
        format="%(asctime)s %(message)s" if not rank else f"%(asctime)s process {rank}: %(message)s",
        datefmt="%H:%M:%S", level=logging.INFO if not rank else logging.WARNING, stream=sys.stdout,
    )  # fmt: skip
    try:
        accelerator, timeout, device = sys.argv[1:]
        order = join(accelerator, float(timeout), int(device))
        importlib.import_module(TASKS[order.task]).work(order)
        dist.destroy_process_group()
    except BaseException as error:
        _report(error)
        raise


def join(accelerator: str, timeout: float, device: int) -> Order:
    """Meet the other processes, and learn what is to be done.

    Args:
        accelerator: what they compute on.
        timeout: seconds that each waits for another.
        device: this one's, by number.

    Raises `UserError`, which names them, if some do not come.
    """
    rank, size, limit = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), timedelta(seconds=timeout)
    place = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
    outer = dist.TCPStore(*place, is_master=False, timeout=limit)  # type: ignore[attr-defined]
    store = dist.PrefixStore(os.environ[KEY], outer)  # type: ignore[attr-defined]
    store.set(f"here_{rank}", "")
    everybody = [f"here_{number}" for number in range(size)]
    try:
        store.wait(everybody, limit)
    except RuntimeError as error:
        missing = [number for number, key in enumerate(everybody) if not store.check([key])]
        raise UserError(
            f"processes {', '.join(map(str, missing))} of {size} were not there after {timeout:g} s; see that the "
            "command runs on every node, or wait longer with trainer.timeout=<seconds>"
        ) from error
    if backend(accelerator) == "nccl":
        torch.cuda.set_device(device)
    dist.init_process_group(backend(accelerator), store=store, rank=rank, world_size=size, timeout=limit)
    return Order(**json.loads(outer.get(os.environ[KEY])))


def _end_with_parent() -> None:
    """End when the process that watches over this one has gone, however it went."""
    os.read(int(os.environ[LIFELINE]), 1)
    os._exit(1)


def _report(error: BaseException) -> None:
    """Tell the parent why; whoever only lost the others says nothing, so that the cause is what is told."""
    if isinstance(error, SystemExit | KeyboardInterrupt) or _lost_others(error):
        return
    message = str(error) if isinstance(error, UserError) else "".join(traceback.format_exception_only(error)).strip()
    told = {"user": isinstance(error, UserError), "message": message}
    if isinstance(error, OSError) and error.errno:
        told["system"] = [error.errno, error.strerror, error.filename]
    write_atomically(Path(os.environ[FAILURE]), json.dumps(told))


def _lost_others(error: BaseException) -> bool:
    text = str(error)
    return isinstance(error, RuntimeError) and any(
        words in text
        for words in ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "ncclRemote")
    )


if __name__ == "__main__":
    main()
