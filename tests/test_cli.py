"""The command line: exit codes, and one line for each mistake."""

import subprocess
import sys
from pathlib import Path

import pytest

from sousa.builders import cli

SMALL = ["--preset", "tiny", "--rudiments", "flam", "--configs", "labels_only", "--workers", "1"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["biuld"], "invalid choice: 'biuld'"),
        (["build"], "the following arguments are required: OUT"),
        (["build", ""], "the name of a folder is needed"),
        (["build", "OUT", "--preset", "huge"], "preset must be of tiny, small, medium, full"),
        (["build", "OUT", "--players", "many"], "argument --players: invalid int value: 'many'"),
        (["build", "OUT", "--players", "11"], "three splits need 12 players, got 11"),
        (["build", "OUT", "--rudiments", "flim"], "got 'flim'"),
        (["build", "OUT", "--configs", ""], "configs must name at least one of audio"),
        (["build", "OUT", "--splits", "bogus"], "splits must be train,validation,test or train"),
        (["build", "OUT", "--workers", "0"], "--workers must be at least 1, got 0"),
        (["build", "OUT", "--engine", "steam"], "--engine must be of processes, serial"),
        (["build", "OUT", "--kit", "sf2:nowhere.sf2"], "nowhere.sf2: cannot read the SoundFont"),
        (["build", "OUT", "--colour", "red"], "unrecognized arguments: --colour red"),
    ],
)
def test_a_wrong_command_is_one_line_and_exit_code_2(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(tmp_path / "out") if word == "OUT" else word for word in words]
    assert cli.main(words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert lines[0].startswith("sousa")
    assert "--help" in lines[0]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_below_a_file_is_one_line_and_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert cli.main(["build", str(tmp_path / "file" / "out"), *SMALL]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"sousa build: Not a directory: {tmp_path / 'file' / 'out'}"
    ]


def test_a_folder_of_another_plan_is_one_line_and_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    assert cli.main(["build", out, *SMALL]) == 0
    assert cli.main(["build", out, *SMALL, "--seed", "7"]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "holds the dataset of another plan (seed: 42 there, 7 asked)" in last
    assert "--overwrite" in last
    assert cli.main(["build", out, *SMALL, "--seed", "7", "--overwrite"]) == 0


def test_interrupted_it_says_how_to_go_on(tmp_path: Path) -> None:
    """The interrupt comes from the build's own progress: deterministic."""
    program = (
        "import signal, sys\n"
        "from sousa.builders import cli, commands, progress\n"
        "class Interrupted(progress.Progress):\n"
        "    def __call__(self, count):\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "commands.Progress = Interrupted\n"
        "sys.exit(cli.main())\n"
    )
    command = [sys.executable, "-c", program, "build", str(tmp_path / "out"), *SMALL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr == "sousa build: interrupted; the same command goes on from here\n"


@pytest.mark.parametrize(
    ("command", "told"), [("build", "goes on from here"), ("validate", "begins anew")]
)
def test_interrupted_while_it_loads_it_says_so_too(command: str, told: str) -> None:
    """The interrupt comes when a library of the command is imported."""
    program = (
        "import signal, sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'pyarrow':\n"
        "            signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from sousa.builders import cli\n"
        "sys.exit(cli.main([sys.argv[1], 'out']))\n"
    )
    words = [sys.executable, "-c", program, command]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr == f"sousa {command}: interrupted; the same command {told}\n"


def test_without_a_terminal_progress_is_plain_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["build", str(tmp_path / "out"), *SMALL]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("12 of 12 clips, ")
    assert lines[0].endswith("0 s left")


def test_info_and_card_and_validate_work_on_a_built_folder(
    built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = (built / "README.md").read_bytes()
    assert cli.main(["card", str(built)]) == 0
    assert (built / "README.md").read_bytes() == readme
    assert cli.main(["info", str(built)]) == 0
    shown = capsys.readouterr().out
    assert "48" in shown
    assert cli.main(["validate", str(built), "--all"]) == 0


def test_validate_lists_what_is_wrong_and_exits_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert cli.main(["build", str(out), *SMALL]) == 0
    path = next((out / "labels_only").glob("test-*"))
    path.write_bytes(path.read_bytes()[:-8])
    assert cli.main(["validate", str(out)]) == 1
    assert path.name in capsys.readouterr().out


def test_the_program_is_installed() -> None:
    program = Path(sys.executable).with_name("sousa")
    shown = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    assert all(command in shown for command in ("build", "validate", "card", "info"))
