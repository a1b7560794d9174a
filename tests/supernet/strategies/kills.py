"""A search that is killed again and again, and resumed: ``python -m tests.supernet.strategies.kills --kills 50``.

Each time one of its processes, the command or any of the processes that train, is ended by SIGKILL at a random moment,
also while it starts, saves or ends; who and when is drawn with a fixed seed. A search that gets to its end must be
that of a run which nobody disturbed, bit for bit, and the next one begins, until all kills are done.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.supernet.callbacks.test_interim import compare

ROOT = Path(__file__).parents[3]
SEARCH = (
    "data=synthetic", "data.num_images=320", "data.size=8", "data.num_classes=3", "batch_size=4", "epochs=8",
    "search_space.channels=4", "search_space.cells_per_stage=1", "trainer.limit_val_batches=4", "checkpoint_minutes=0",
    "relaxation=dirichlet", "formulation=mixed_level",
)  # fmt: skip


def start(*arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "search.py"), *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )  # fmt: skip


def family(process: subprocess.Popen[str]) -> list[int]:
    """The command, and the processes that it has started, in the order of their start."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [process.pid, *map(int, children.read_text().split())]


def kill_and_resume(folder: Path, kills: int, processes: int, seed: int, longest: float) -> dict[str, int]:
    """Kill so often; how many searches came to their end in the meantime, and who was killed how often."""
    several = ("trainer=ddp", "trainer.accelerator=cpu", f"trainer.devices={processes}", "trainer.timeout=60")
    settings = (*SEARCH, *(several if processes > 1 else ("trainer=cpu",)))
    whole, chance = folder / "whole", random.Random(seed)
    _, error = (undisturbed := start(*settings, f"hydra.run.dir={whole}")).communicate()
    assert undisturbed.returncode == 0, error
    counts = {"searches": 0, "within an epoch": 0}
    killed, number = 0, 0
    while killed < kills or number:
        run = folder / f"run_{counts['searches']}"
        begun = (run / "config.yaml").exists()
        if any((run / "checkpoints").glob("within_*.ckpt")):
            counts["within an epoch"] += 1
        process = start(f"resume={run}") if begun else start(*settings, f"hydra.run.dir={run}")
        if killed < kills:
            end = time.monotonic() + chance.uniform(0, longest)
            while time.monotonic() < end and process.poll() is None:
                time.sleep(0.01)
        if killed < kills and process.poll() is None:
            known = family(process)
            who = chance.randrange(len(known))
            os.kill(known[who], signal.SIGKILL)
            name = "the command" if who == 0 else f"process {who - 1}"
            counts[name] = counts.get(name, 0) + 1
            killed, number = killed + 1, number + 1
            process.communicate(timeout=100)
            print(f"kill {killed}: {name}; {sorted(p.name for p in (run / 'checkpoints').glob('*.ckpt'))}", flush=True)
            continue
        _, error = process.communicate(timeout=300)
        assert process.returncode == 0, error
        compare(run, whole)
        print(f"after {number} kills the same as undisturbed", flush=True)
        counts["searches"] += 1
        number = 0
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest", type=float, default=20.0, help="seconds between a start and its kill")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(kill_and_resume(Path(folder), args.kills, args.processes, args.seed, args.longest))


if __name__ == "__main__":
    main()
