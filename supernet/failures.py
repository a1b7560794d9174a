"""``failure.json``: why a run has failed, beside what it left. A run that goes on and ends well has none."""

from __future__ import annotations

import contextlib
import json
import traceback
from pathlib import Path

from supernet.errors import UserError
from supernet.files import write_atomically

FAILURE = "failure.json"


def record_failure(folder: Path, error: Exception) -> None:
    """Write down why a run has failed: a line, and for what no user can mend the traceback.

    Where even that cannot be written, as on a full disk, the error itself is what is told.
    """
    content = {"error": type(error).__name__, "reason": reason_of(error)}
    if not isinstance(error, UserError):
        content["traceback"] = "".join(traceback.format_exception(error))
    with contextlib.suppress(OSError):
        write_atomically(folder / FAILURE, json.dumps(content, indent=2) + "\n")


def forget_failure(folder: Path) -> None:
    """Remove the record of a failure that was mended."""
    (folder / FAILURE).unlink(missing_ok=True)


def read_failure(folder: Path) -> str | None:
    """The reason that was written down, None where no failure was."""
    try:
        content = json.loads((folder / FAILURE).read_text())
        return str(content["reason"])
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        return f"unknown: {FAILURE} cannot be read"


def reason_of(error: Exception) -> str:
    """One line, with the kind of error for what is no mistake of the user."""
    text = str(error) if isinstance(error, UserError) else "".join(traceback.format_exception_only(error))
    return " ".join(text.split())
