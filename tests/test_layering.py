"""Imports only go down the layers, and the big frameworks stay where they belong (docs/architecture.md)."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted([*(ROOT / "search_spaces").rglob("*.py"), *(ROOT / "supernet").rglob("*.py"), *ROOT.glob("*.py")])

# The layer of a module is that of its longest prefix here.
LAYERS = {
    "search_spaces.architecture": 0,
    "search_spaces": 1,
    "supernet": 2,  # relaxations, formulations, gradients, and small helpers
    "supernet.benchmarks": 3,
    "supernet.costs": 3,
    "supernet.estimators": 3,
    "supernet.warm_start": 4,
    "supernet.shrinkage": 4,
    "supernet.searchers": 4,
    "supernet.evaluation": 4,
    "supernet.drawing": 4,
    "supernet.data": 5,
    "supernet.callbacks": 5,
    "supernet.modules": 5,
    "supernet.selection": 5,
    "supernet.strategies": 5,
    "supernet.compose": 6,
    "supernet.assembly": 6,
    "supernet.comparison": 6,
    "supernet.jobs": 6,
    "supernet.repeating": 6,
    "supernet.sweeps": 6,
    "supernet.summarize": 6,
    "supernet.launch": 6,
    "supernet.run": 6,
    "supernet.from_genotype": 6,
    "supernet.search": 6,
    "supernet.beginning": 6,
    "supernet.shrinking": 6,
    "supernet.ending": 6,
    "supernet.train": 6,
    "supernet.evaluate": 6,
    "supernet.sharing": 6,
    "supernet.fit": 6,
    "supernet.inherited": 6,
    "supernet.inputs": 6,
    "supernet.latency": 6,
    "search": 6,
    "train": 6,
}
TORCH_ONLY = (
    "supernet.relaxations",
    "supernet.formulations",
    "supernet.perturbations",
    "supernet.gradients",
    "supernet.hessian",
    "supernet.alphas",
)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(str(node.module))
    return found


def layer(module: str) -> int | None:
    prefixes = [name for name in LAYERS if module == name or module.startswith(name + ".")]
    return LAYERS[max(prefixes, key=len)] if prefixes else None


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_go_down(path):
    own, names = module_name(path), imports(path)
    for name in names:
        target = layer(name)
        assert target is None or target <= layer(own), f"{own} (layer {layer(own)}) imports {name} (layer {target})"
    roots = {name.split(".")[0] for name in names}
    assert "lightning" not in roots, "one import root only: pytorch_lightning"
    if layer(own) < 5:
        assert "pytorch_lightning" not in roots
    if layer(own) < 6:
        assert not roots & {"hydra", "omegaconf"}
    if own.startswith("search_spaces"):
        assert "supernet" not in roots
    if own.startswith(TORCH_ONLY):
        assert "search_spaces" not in roots


def test_tables_and_estimators_do_not_import_each_other():
    for path in FILES:
        for one, other in (("benchmarks", "estimators"), ("estimators", "benchmarks")):
            if module_name(path).startswith(f"supernet.{one}"):
                assert not any(name.startswith(f"supernet.{other}") for name in imports(path)), path


def test_there_is_something_to_check():
    assert len(FILES) > 20
