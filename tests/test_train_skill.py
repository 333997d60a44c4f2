"""The example learns to hear timing, and nothing else will help it."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from loader_data import encoded, row, table, write_shard

ROOT = Path(__file__).parents[1]
JITTER_MS = (60, 30, 12, 0)  # standard deviation of the onsets, by tier


def clicks(tier: int, rng: np.random.Generator) -> bytes:
    """Five seconds of noise bursts, eight a second, as uneven as the tier plays them."""
    onsets_sec = np.arange(0.2, 4.8, 1 / 8) + JITTER_MS[tier] / 1000 * rng.normal(size=37)
    wave = 1e-4 * rng.normal(size=5 * 16_000)
    burst = np.exp(-np.arange(800) / 150)
    for onset in np.round(np.clip(onsets_sec, 0, 4.9) * 16_000).astype(int):
        wave[onset : onset + 800] += 0.2 * burst * rng.normal(size=800)
    return encoded(np.clip(wave, -1, 1), 16_000, "WAV")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clicks")
    rng = np.random.default_rng(0)
    for split, size in {"train": 64, "validation": 8, "test": 32}.items():
        rows = [row("labels_only", index) for index in range(size)]
        clips = [{"bytes": clicks(index % 4, rng), "path": None} for index in range(size)]
        full = [
            row("audio_16k", 0) | each | {"audio": clip}
            for each, clip in zip(rows, clips, strict=True)
        ]
        write_shard(
            folder / "audio_16k" / f"{split}-00000-of-00001.parquet", table("audio_16k", full)
        )
    return folder


def test_the_network_hears_how_even_the_strokes_are(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """32 clips, chance 25 %: 20 right by chance happens once in a million."""
    picture = tmp_path / "confusion.png"
    main = runpy.run_path(str(ROOT / "examples" / "train_skill.py"))["main"]
    options = ["--epochs", "10", "--device", "cpu"]
    main([str(folder), *options, "--picture", str(picture)])
    said = capsys.readouterr().out
    found = re.search(r"32 clips of players never heard before: (\d+)% right\n\(chance 25%\)", said)
    assert found
    assert int(found[1]) >= 62
    assert said.count("validation") == 10
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_same_seed_is_the_same_training(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main = runpy.run_path(str(ROOT / "examples" / "train_skill.py"))["main"]
    said = []
    for _ in range(2):
        main([str(folder), "--epochs", "1", "--device", "cpu"])
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
