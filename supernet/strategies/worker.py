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
from supernet.strategies.launching import FAILURE, LIFELINE, Order
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
        accelerator, timeout, *told = sys.argv[1:]
        limit = timedelta(seconds=float(timeout))
        dist.init_process_group(backend(accelerator), timeout=limit)
        orders = [Order(**json.loads(told[0])) if told else None]
        dist.broadcast_object_list(orders, device=_device(accelerator))
        (order,) = orders
        assert order is not None
        module = importlib.import_module(TASKS[order.task])
        module.work(order)
        dist.destroy_process_group()
    except BaseException as error:
        _report(error)
        raise


def _device(accelerator: str) -> torch.device:
    """Where messages between the processes lie."""
    if backend(accelerator) == "gloo":
        return torch.device("cpu")
    torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    return torch.device("cuda", int(os.environ["LOCAL_RANK"]))


def _end_with_parent() -> None:
    """End when the process that watches over this one has gone, however it went."""
    os.read(int(os.environ[LIFELINE]), 1)
    os._exit(1)


def _report(error: BaseException) -> None:
    """Tell the parent why; whoever only lost the others says nothing, so that the cause is what is told."""
    if isinstance(error, SystemExit | KeyboardInterrupt) or _lost_others(error):
        return
    user = isinstance(error, UserError)
    message = str(error) if user else "".join(traceback.format_exception_only(error)).strip()
    write_atomically(Path(os.environ[FAILURE]), json.dumps({"user": user, "message": message}))


def _lost_others(error: BaseException) -> bool:
    text = str(error)
    return isinstance(error, RuntimeError) and any(
        words in text
        for words in ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "ncclRemote")
    )


if __name__ == "__main__":
    main()
