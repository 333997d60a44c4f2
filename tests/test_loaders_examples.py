"""The examples say in one line what they cannot do."""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def main_of(example: str) -> Any:
    return runpy.run_path(str(EXAMPLES / example))["main"]


@pytest.mark.parametrize("example", ["draw_clips.py", "train_skill.py"])
def test_a_folder_that_is_not_there_is_one_line(
    example: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main_of(example)([str(tmp_path / "nope")])
    assert re.search(r"error: .*nope.*\n\Z", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("rudiment", "message"),
    [
        ("nope", "rudiment must be one of .*flam_accent, .*; got nope"),
        ("flam_drag", "holds no clip of flam_drag in its train split"),
    ],
)
def test_a_rudiment_that_is_not_there_is_one_line(
    built: Path, rudiment: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main_of("draw_clips.py")([str(built), "--rudiment", rudiment])
    assert re.search(rf"error: .*{message}\n\Z", capsys.readouterr().err)


def test_clips_are_drawn(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "clips.png"
    main_of("draw_clips.py")([str(built), "--rudiment", "flam_accent", "--picture", str(picture)])
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "clips of flam_accent" in capsys.readouterr().out
