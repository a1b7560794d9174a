"""``python -m supernet.summarize <folder>``: all searches or trainings of a sweep, or of any folder, in one table."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from supernet.errors import UserError
from supernet.evaluation.run_groups import grouped
from supernet.evaluation.run_summary import as_csv, as_markdown, complaints, table
from supernet.evaluation.runs import outcomes
from supernet.files import shown, write_atomically
from supernet.sweeps import Sweep, is_sweep

SUMMARY = "summary"
SHOWN = 20
"""Runs without a result that are named on the screen; summary.md has all."""
EPILOG = """\
examples:
  python -m supernet.summarize logs/search/multiruns/<time>    a sweep, also while it runs
  python -m supernet.summarize logs/search/runs                all single searches

writes summary.csv, summary.md and summary.png into the folder. A sweep of searches or trainings ends with it by itself;
evaluations are compared by python -m supernet.evaluate -m.
"""


class Summary(Sweep):
    """What the searches or trainings of a sweep end with."""

    def show(self, folder: Path) -> None:
        """See `summarize`."""
        if outcomes(folder):
            summarize(folder)


def main() -> None:
    """The command ``supernet-summarize``."""
    parser = argparse.ArgumentParser(
        prog="python -m supernet.summarize",
        description="Puts the runs of a folder into one table: mean and deviation over the seeds of everything else\n"
        "that was changed, the time, and why runs have failed.",
        epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("folder", type=Path, help="of a sweep, or any folder with folders of runs")
    folder = parser.parse_args().folder.expanduser()
    try:
        summarize(folder)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from error


def summarize(folder: Path) -> None:
    """Write ``summary.csv``, ``.md`` and ``.png`` into a folder of runs and show the table.

    Raises `UserError` where there are no runs of a search or a training in it.
    """
    folder = folder.absolute()
    if not folder.is_dir():
        raise UserError(f"{shown(folder)}: there is no such folder")
    groups = grouped(outcomes(folder))
    if not groups:
        raise UserError(f"{shown(folder)} has no folders of searches or trainings; give that of a sweep, or .../runs")
    write_atomically(folder / f"{SUMMARY}.csv", as_csv(groups))
    write_atomically(folder / f"{SUMMARY}.md", as_markdown(groups))
    if any(group.finished for group in groups):
        # matplotlib takes a second to import.
        from supernet.evaluation.figures import save
        from supernet.evaluation.run_pictures import draw_runs

        save(draw_runs(groups), folder / f"{SUMMARY}.png")
    console = Console()
    console.print(table(groups, console.width))
    told = complaints(groups)
    for line in told[:SHOWN]:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    if len(told) > SHOWN:
        console.print(f"and {len(told) - SHOWN} more, in {SUMMARY}.md")
    console.print(f"outputs: {shown(folder)}", soft_wrap=True, highlight=False)
    if told and is_sweep(folder):
        console.print(f"go on with: resume={shown(folder)}", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    main()
