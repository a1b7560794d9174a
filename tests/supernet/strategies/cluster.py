"""A cluster with one node, for tests: ``sbatch``, ``srun``, ``sacct`` and ``scontrol`` that start processes here.

It has of SLURM what a job sees: the variables of each task, and a job that is queued again.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

COMMANDS = ("sbatch", "srun", "sacct", "scontrol")


def install(folder: Path) -> dict[str, str]:
    """Put the commands into a folder; the environment in which they are found."""
    for name in COMMANDS:
        path = folder / name
        path.write_text(f"#!{sys.executable}\n{Path(__file__).read_text()}")
        path.chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "CLUSTER": str(folder)}


def begin(script: str, job: str) -> None:
    text = Path(script).read_text()
    tasks, nodes = (re.search(rf"--{name}=(\d+)", text)[1] for name in ("ntasks-per-node", "nodes"))
    environment = {
        **os.environ, "SLURM_JOB_ID": job, "SLURM_JOB_NAME": "search", "SLURM_NTASKS": str(int(tasks) * int(nodes)),
        "SLURM_NTASKS_PER_NODE": tasks, "SLURM_JOB_NUM_NODES": nodes, "SLURM_NODELIST": "127.0.0.1",
        "SLURM_JOB_NODELIST": "127.0.0.1",
    }  # fmt: skip
    with (Path(os.environ["CLUSTER"]) / "log").open("a") as log:
        subprocess.Popen(["bash", script], env=environment, start_new_session=True, stdout=log, stderr=log)


def main(name: str, arguments: list[str]) -> int:
    queued = Path(os.environ["CLUSTER"]) / "queued"
    if name == "sacct":
        print("JobID|State|NodeList")
    elif name == "sbatch":
        job = str(20000 + os.getpid() % 9000)
        queued.write_text(arguments[-1])
        begin(arguments[-1], job)
        print("Submitted batch job", job)
    elif name == "scontrol":  # requeue: the processes of a job are ended, and it begins again
        (queued.parent / "again").touch()
    elif name == "srun":
        command = arguments[next(n for n, one in enumerate(arguments) if "python" in one) :]
        tasks = []
        for rank in map(str, range(int(os.environ["SLURM_NTASKS"]))):
            environment = {**os.environ, "SLURM_PROCID": rank, "SLURM_LOCALID": rank, "SLURM_NODEID": "0"}
            tasks.append(subprocess.Popen(command, env=environment))
        (queued.parent / "tasks").write_text(" ".join(str(task.pid) for task in tasks))
        ended = [task.wait() for task in tasks]
        if (queued.parent / "again").exists():
            (queued.parent / "again").unlink()
            begin(queued.read_text(), os.environ["SLURM_JOB_ID"])
        return max(map(abs, ended))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[0]).name, sys.argv[1:]))
