"""The wheel works outside the clone; the pins agree with the ranges."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            found.setdefault(requirement.name, []).append(str(requirement.specifier).removeprefix("=="))
    return found


def test_every_dependency_is_pinned_within_its_range():
    for line in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate():
            versions = pins()[requirement.name]
            assert versions
            assert all(requirement.specifier.contains(version) for version in versions), (line, versions)


def test_no_file_names_a_registry_host():
    for name in ("pyproject.toml", "constraints.txt", "Makefile", ".ci/run", "README.md"):
        assert not re.search(r"https?://[^\s]*(pypi|pythonhosted|index)", (ROOT / name).read_text()), name


@pytest.mark.slow
def test_an_installed_wheel_searches_in_an_empty_folder(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)],
        check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        top = {name.split("/")[0] for name in names}
        assert {name for name in top if not name.endswith(".dist-info")} == {"supernet", "search_spaces"}
        files = {str(path.relative_to(ROOT / "conf")) for path in (ROOT / "conf").rglob("*.yaml")}
        assert files <= {name.removeprefix("supernet/conf/") for name in names}
        archive.extractall(tmp_path / "site")
    work = tmp_path / "work"
    work.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "PYTHONSAFEPATH": "1"}
    command = "import supernet, supernet.search; print(supernet.__file__); supernet.search.main()"
    done = subprocess.run(
        [sys.executable, "-c", command, "debug=fast", "search_space.cells_per_stage=1", "trainer=cpu"],
        cwd=work, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "site") in done.stdout.splitlines()[0]
    assert len(list(work.glob("logs/search/runs/*/genotype.json"))) == 1
