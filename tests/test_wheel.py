"""The wheel holds everything: installed alone, without torch, it imports and builds a dataset."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("builders", "loaders", "cards")


def files_of(folder: str) -> list[Path]:
    kinds = (".py", ".pyi", ".typed", ".md", ".json", ".html", ".css", ".js")
    return [path for path in sorted((ROOT / folder).iterdir()) if path.suffix in kinds]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the files, with the tools that are installed."""
    out = tmp_path_factory.mktemp("wheel")
    source = out / "source"
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        source.mkdir(exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    for folder in FOLDERS:
        (source / folder).mkdir()
        for path in [*files_of(folder), *(ROOT / folder).glob("*.c")]:
            (source / folder / path.name).write_bytes(path.read_bytes())
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    subprocess.run([*command, str(source)], check=True, capture_output=True)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def home(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an environment of the wheel and our dependencies, but of nothing of torch's."""
    made = tmp_path_factory.mktemp("home")
    home, dependencies = made / "venv", made / "dependencies"
    venv.create(home, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", str(home), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    dependencies.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if "sousa" not in path.name and "torch" not in path.name:
            (dependencies / path.name).symlink_to(path)
    site = next((home / "lib").glob("python*/site-packages"))
    (site / "dependencies.pth").write_text(f"{dependencies}\n")
    return home


def test_every_module_is_in_the_wheel(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {f"sousa/{folder}/{p.name}" for folder in FOLDERS for p in files_of(folder)}
    assert wanted <= names
    assert "sousa/__init__.py" not in names  # a namespace, shared with nobody's file


def test_builders_and_cards_import_without_torch(home: Path) -> None:
    modules = [
        f"sousa.{folder}.{path.stem}"
        for folder in ("builders", "cards")
        for path in files_of(folder)
        if path.suffix == ".py" and path.stem != "__init__"
    ]
    lines = ["import importlib", f"for name in {modules!r}: importlib.import_module(name)"]
    lines += ["import sousa.loaders.labels"]
    command = [home / "bin" / "python", "-c"]
    subprocess.run([*command, "\n".join(lines[:2])], check=True)
    without = subprocess.run([*command, "\n".join(lines[2:])], capture_output=True, check=False)
    assert b"torch" in without.stderr  # so there was none for the others either


def test_the_wheel_alone_builds_a_dataset(home: Path, tmp_path: Path) -> None:
    options = ["--players", "4", "--splits", "train", "--rudiments", "flam", "--workers", "1"]
    program = home / "bin" / "sousa"
    subprocess.run([program, "build", "out", *options], check=True, cwd=tmp_path)
    assert (tmp_path / "out" / "README.md").exists()
