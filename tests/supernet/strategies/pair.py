"""Two processes that do one task after another: ``python -m tests.supernet.strategies.pair <task>=<folder>...``.

Started twice, with RANK 0 and 1; a failure in one run is written into its folder, and the next one goes on.
"""

import importlib
import sys
import traceback
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

from supernet.strategies.launching import Order
from supernet.strategies.worker import TASKS


def main() -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", timeout=timedelta(seconds=60))
    for order in sys.argv[1:]:
        task, _, folder = order.partition("=")
        try:
            importlib.import_module(TASKS[task]).work(Order(task, folder, None))
        except Exception:
            (Path(folder) / f"failure_{dist.get_rank()}").write_text(traceback.format_exc())
        dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
