"""What the README shows is what happens."""

import doctest
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
CONSOLE = [block for language, block in BLOCKS if language == "console"]
COMMANDS = [line[2:] for line in "".join(CONSOLE).splitlines() if line.startswith("$ sousa")]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which the README's commands were run."""
    folder, before = tmp_path_factory.mktemp("readme"), Path.cwd()
    os.chdir(folder)
    for command in COMMANDS:
        assert cli.main(shlex.split(command)[1:]) == 0
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


@pytest.mark.parametrize("block", CONSOLE, ids=range(len(CONSOLE)))
@pytest.mark.usefixtures("home")
def test_a_console_shows_what_happens(block: str) -> None:
    session = doctest.DocTestParser().get_doctest(block, {}, "README", "README.md", 0)
    assert session.examples
    assert doctest.DocTestRunner().run(session).failed == 0


def test_there_is_something_to_run() -> None:
    assert len(PYTHON) >= 2
    assert CONSOLE
    assert COMMANDS
