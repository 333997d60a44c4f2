"""The example trains, is killed, goes on with the same bits, and plays."""

import json
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from symusic import Score
from token_data import build

EXAMPLE = Path(__file__).parents[1] / "examples" / "train_lm.py"
TUNE = ["finetune", "DATA", "NEW", "--from", "RUN"]
SMALL = ["--steps", "9", "--save-every", "3", "--width", "16", "--layers", "1", "--heads", "2"]
SMALL += ["--max-seq-len", "128", "--batch-size", "4"]

Main = Callable[[list[str]], None]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Small sums are faster so, and the same in both processes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def main() -> Main:
    found: Main = runpy.run_path(str(EXAMPLE))["main"]
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("built") / "dataset")


@pytest.fixture(scope="module")
def run(main: Main, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    main(["pretrain", str(folder), str(run), *SMALL])
    return run


def weights(run: Path, step: int = 9) -> bytes:
    return (run / f"step-{step:08d}" / "model.safetensors").read_bytes()


def test_a_killed_run_goes_on_with_the_same_bits(
    main: Main, folder: Path, run: Path, tmp_path: Path
) -> None:
    """Killed by signal 9 as soon as it says that its second checkpoint is there."""
    killed = tmp_path / "killed"
    command = [sys.executable, str(EXAMPLE), "pretrain", str(folder), str(killed), *SMALL]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        assert next(line for line in process.stdout if line.startswith("step      6"))
        process.kill()
    shutil.rmtree(killed / "step-00000009", ignore_errors=True)  # if it was that fast
    assert (killed / "step-00000006").is_dir()
    main(["resume", str(killed)])
    assert weights(killed) == weights(run)
    states = [
        json.loads((each / "step-00000009" / "run.json").read_text()) for each in (run, killed)
    ]
    assert states[0] == states[1]


def test_it_learns(run: Path, main: Main, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tuned = run.with_name("tuned")
    options = ["--steps", "30", "--save-every", "30", "--rate", "0.01", "--seed", "1"]
    main(["finetune", str(folder), str(tuned), "--from", str(run), *options])
    said = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert said[-1][:3] == ["step", "30", "loss"]
    assert float(said[-1][3]) < 6.2  # of 6.5 = ln(ids) by chance
    assert float(said[-1][5]) < 6.2
    state = json.loads((tuned / "step-00000030" / "run.json").read_text())
    assert state["settings"]["width"] == 16  # that of the run it began with


def test_it_plays(run: Path, main: Main, tmp_path: Path) -> None:
    outs = [tmp_path / f"{name}.mid" for name in "ab"]
    for out in outs:
        main(["generate", str(run), str(out), "--seed", "2"])
    assert outs[0].read_bytes() == outs[1].read_bytes()
    score = Score.from_midi(outs[0].read_bytes())
    played = [note for track in score.tracks for note in track.notes]
    assert played
    assert all(1 <= note.velocity <= 127 for note in played)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["resume", "RUN", "--batch-size", "8"], "batch_size is 4 in .*step-00000009, not 8"),
        (["resume", "EMPTY"], "EMPTY holds no checkpoint: `pretrain` makes them"),
        (["pretrain", "DATA", "RUN"], "holds a run already: resume it, or name another folder"),
        ([*TUNE, "--width", "32"], "width is 16 in .*, not 32"),
        ([*TUNE, "--column", "tokens_ms", "--cut", "event"], "knows other tokens"),
        (["pretrain", "DATA", "NEW", "--column", "tokens_remi"], "has no column tokens_remi"),
    ],
)
def test_what_does_not_fit_is_refused(
    main: Main, run: Path, folder: Path, tmp_path: Path, argv: list[str], message: str
) -> None:
    there = {"RUN": str(run), "DATA": str(folder), "EMPTY": str(tmp_path / "EMPTY")}
    there["NEW"] = str(tmp_path / "new")
    with pytest.raises(SystemExit, match=f"train_lm: .*{message}"):
        main([there.get(each, each) for each in argv])


def test_a_checkpoint_of_other_tokens_or_data_is_refused(
    main: Main, run: Path, tmp_path: Path
) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(run, changed)
    path = changed / "step-00000009" / "run.json"
    state = json.loads(path.read_text())
    path.write_text(json.dumps(state | {"tokenizer": "0" * 64}))
    with pytest.raises(SystemExit, match="was trained on tokens of another tokenizer"):
        main(["resume", str(changed)])
    state["place"]["of"]["data"] = "0" * 16
    path.write_text(json.dumps(state))
    with pytest.raises(SystemExit, match="the state belongs to another loader: data was"):
        main(["resume", str(changed)])
    path.write_text(json.dumps(state | {"processes": 2}))
    with pytest.raises(SystemExit, match="is of 2 processes, and these are 1"):
        main(["resume", str(changed)])
