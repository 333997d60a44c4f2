"""The example trains, is killed, goes on with the same bits, and plays."""

import json
import os
import runpy
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from lm_ranks import gradients
from safetensors.torch import load_file
from symusic import Score
from token_data import build

from sousa.builders import cli

EXAMPLE = Path(__file__).parents[1] / "examples" / "train_lm.py"
RANKS = Path(__file__).with_name("lm_ranks.py")
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
    """With subwords, too."""
    folder = build(tmp_path_factory.mktemp("built") / "dataset")
    learnt = ["--column", "tokens", "--vocab-size", "1100"]
    assert cli.main(["tokenizer", "train", str(folder), *learnt]) == 0
    return folder


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


def notes_of(path: Path) -> list[int]:
    score = Score.from_midi(path.read_bytes())
    return [note.velocity for track in score.tracks for note in track.notes]


def test_it_plays(run: Path, main: Main, tmp_path: Path) -> None:
    outs = [tmp_path / f"{name}.mid" for name in "ab"]
    for out in outs:
        main(["generate", str(run), str(out), "--seed", "2"])
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert notes_of(outs[0])
    assert all(1 <= velocity <= 127 for velocity in notes_of(outs[0]))


@pytest.mark.parametrize("column", ["tokens", "tokens_ms", "tokens_hands", "tokens_bpe"])
def test_it_plays_whatever_it_has_learnt(
    main: Main, folder: Path, tmp_path: Path, column: str
) -> None:
    """One step is as good as none."""
    untrained, out = tmp_path / "untrained", tmp_path / "out.mid"
    cut = ["--cut", "event", "--column", column, "--steps", "1", "--max-seq-len", "64"]
    main(["pretrain", str(folder), str(untrained), *SMALL, *cut])
    for options in (["--seed", "1"], ["--seed", "2", "--top-k", "3", "--temperature", "9"]):
        main(["generate", str(untrained), str(out), *options])
        assert notes_of(out)


def test_two_processes_train_as_one_does(main: Main, folder: Path, tmp_path: Path) -> None:
    """With half the batch each, until the rest of the epoch is shared; and they resume exactly."""
    runs = one, two, copy = [tmp_path / name for name in ("one", "two", "copy")]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, str(RANKS), str(EXAMPLE), str(folder), str(two), str(copy)]
    env = os.environ | {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    env |= {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    options = [*SMALL, "--dropout", "0", "--steps", "5"]
    processes = [
        subprocess.Popen([*command, *options], env=env | rank)
        for rank in ({"RANK": each, "LOCAL_RANK": each} for each in "01")
    ]
    main(["pretrain", str(folder), str(one), *options, "--batch-size", "8"])
    assert [process.wait(timeout=100) for process in processes] == [0, 0]
    # Neither Adam nor clipped gradients show whether a loss was scaled as it should be.
    shared = load_file(tmp_path / "gradients.safetensors")
    alone = gradients(runpy.run_path(str(EXAMPLE)), str(folder), 8)
    assert shared.keys() == alone.keys()
    for name, gradient in alone.items():
        torch.testing.assert_close(shared[name], gradient, rtol=1e-3, atol=1e-6)
    assert weights(copy, 5) == weights(two, 5)
    states = [load_file(each / "step-00000003" / "model.safetensors") for each in runs[:2]]
    assert states[0].keys() == states[1].keys()
    for name, weight in states[0].items():
        torch.testing.assert_close(weight, states[1][name], rtol=0, atol=1e-4)
    with pytest.raises(SystemExit, match="is of 2 processes, and these are 1"):
        main(["resume", str(two)])


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["resume", "RUN", "--batch-size", "8"], "batch_size is 4 in .*step-00000009, not 8"),
        (["resume", "EMPTY"], "EMPTY holds no checkpoint: `pretrain` makes them"),
        (["pretrain", "DATA", "RUN"], "holds a run already: resume it, or name another folder"),
        ([*TUNE, "--width", "32"], "width is 16 in .*, not 32"),
        ([*TUNE, "--column", "tokens_ms", "--cut", "event"], "knows other tokens"),
        (["pretrain", "DATA", "NEW", "--column", "tokens_remi"], "has no column tokens_remi"),
        (["generate", "RUN", "NEW", "--temperature", "0"], "--temperature must be above 0"),
        (["pretrain", "DATA", "NEW", "--heads", "3"], "width must be a multiple of heads"),
        (["pretrain", "DATA", "NEW", "--save-every", "0"], "save_every must be at least 1, got 0"),
        (["pretrain", "DATA", "NEW", "--dropout", "1"], r"dropout must be in \[0, 1\), got 1.0"),
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


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.bin"])
def test_a_damaged_checkpoint_is_refused(main: Main, run: Path, tmp_path: Path, name: str) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(run, damaged)
    path = damaged / "step-00000009" / name
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(SystemExit, match=r"train_lm: .*step-00000009 is damaged: "):
        main(["resume", str(damaged)])
    if name.startswith("model"):
        with pytest.raises(SystemExit, match=r"train_lm: .*step-00000009 is damaged: "):
            main(["generate", str(damaged), str(tmp_path / "out.mid")])
