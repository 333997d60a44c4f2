"""Data flows one way, so imports do too."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "builders": ("sousa.builders",),
    "loaders": ("sousa.builders.schema", "sousa.loaders"),
    "cards": ("sousa.builders.schema", "sousa.builders.kinds", "sousa.cards"),
}
MODULES = [path for folder in MAY_IMPORT for path in sorted((ROOT / folder).glob("*.py"))]


def imports_of(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {alias.name for n in nodes if isinstance(n, ast.Import) for alias in n.names}
    from_ = {
        f"{n.module}.{alias.name}"
        for n in nodes
        if isinstance(n, ast.ImportFrom)
        for alias in n.names
    }
    return plain | from_


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_imports_only_upstream(path: Path) -> None:
    ours = {name for name in imports_of(path) if name.startswith("sousa")}
    allowed = MAY_IMPORT[path.relative_to(ROOT).parts[0]]
    assert {name for name in ours if not name.startswith(allowed)} == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_torch_stays_in_the_loaders(path: Path) -> None:
    uses_torch = any(name.split(".")[0] == "torch" for name in imports_of(path))
    assert not uses_torch or path.parent.name == "loaders"


def test_builders_have_no_cycles() -> None:
    """Modules can be put in an order in which each imports only earlier ones."""
    left = {
        f"sousa.{path.parent.name}.{path.stem}": imports_of(path)
        for path in MODULES
        if path.stem != "__init__"
    }
    while left:
        free = {
            name
            for name, used in left.items()
            if not any(u == o or u.startswith(o + ".") for u in used for o in left if o != name)
        }
        assert free, f"these modules import each other: {sorted(left)}"
        left = {name: used for name, used in left.items() if name not in free}


SCHEMAS = ("schema", "kinds", "midi_schema", "sousa_schema", "audio_schema")


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_need_only_the_standard_library_and_each_other(name: str) -> None:
    imported = imports_of(ROOT / "builders" / f"{name}.py")
    ours = {module.split(".")[2] for module in imported if module.startswith("sousa.builders.")}
    assert ours <= {*SCHEMAS}
    assert {module.split(".")[0] for module in imported} <= {*sys.stdlib_module_names, "sousa"}
