"""What the README shows is what happens."""

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from sousa.builders import cli

TEXT = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, flags=re.DOTALL)
PYTHON = [block for language, block in BLOCKS if language == "python"]
SHELL = [block for language, block in BLOCKS if language == "sh"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which the README's shell commands were run."""
    folder, before = tmp_path_factory.mktemp("readme"), Path.cwd()
    os.chdir(folder)
    for line in "".join(SHELL).splitlines():
        program, *words = shlex.split(line)
        assert program == "sousa"
        assert cli.main(words) == 0
    yield folder
    os.chdir(before)


@pytest.mark.parametrize("block", PYTHON, ids=range(len(PYTHON)))
@pytest.mark.usefixtures("home")
def test_a_block_runs_and_gives_what_its_comments_say(block: str) -> None:
    names: dict[str, object] = {}
    for line in block.splitlines():
        code, separator, said = line.partition("  # ")
        if separator:
            assert repr(eval(code, names)).replace('"', "'") == said.strip(), code
        else:
            exec(line, names)


def test_there_is_something_to_run() -> None:
    assert len(PYTHON) >= 3
    assert SHELL
