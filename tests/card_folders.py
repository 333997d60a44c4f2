"""Folders of each kind that is imported, small, with names that would like to be markup."""

import json
from pathlib import Path
from typing import Any

import midi_corpus
import numpy as np
import soundfile
import sousa_data

from sousa.builders import cli

HOSTILE = "</details><script>alert(1)</script> | `x` ![y](http://evil) ${z}"
"""Stands in names of files, tracks, players and classes."""
FILE_NAME = HOSTILE.replace("/", " ")


def imported(kind: str, root: Path) -> Path:
    """Import a small source of a kind, and return the folder; the source is beside it."""
    source, out = root / "source", root / "out"
    source.mkdir(parents=True)
    assert cli.main(["import", kind, str(source), str(out), *SOURCES[kind](source), *WORKERS]) == 0
    return out


def _midi(source: Path) -> list[str]:
    """Six songs, one of them twice, and two that are none; tokens of three tokenizers."""
    for seed in range(6):
        (source / f"song-{seed}.mid").write_bytes(midi_corpus.song(seed, name=HOSTILE))
    (source / f"{FILE_NAME}.mid").write_bytes(midi_corpus.song(0, name="other"))
    (source / f"empty {FILE_NAME}.mid").write_bytes(b"")
    (source / "text.mid").write_bytes(b"no music in here")
    config = source.parent / "config.json"
    config.write_text(json.dumps({"use_programs": True}))
    return ["--tokens", f"grid,ms,cpword:{config}", "--min-sec", "0.01", "--split", "0.5"]


def _sousa(source: Path) -> list[str]:
    sousa_data.make(source, sousa_data.Variant(players=3))
    return []


def _audio(source: Path) -> list[str]:
    """Twelve tones of six players, with a class, a number and events; one file is missing."""
    lines = ["file,the player,genre,mood,onset_sec,duration_sec,kind"]
    for number in range(12):
        rate_hz = (44_100, 22_050)[number % 2]
        seconds = np.arange(rate_hz // 4) / rate_hz
        wave: Any = 0.3 * np.sin(2 * np.pi * (200 + 20 * number) * seconds)
        soundfile.write(source / f"take-{number}.wav", wave, rate_hz)
        player = f'"{HOSTILE} {number % 6}"'
        about = f"take-{number}.wav,{player},{('jazz', '---')[number // 6]},{number}"
        lines += [f"{about},0.{place},0.05,{('kick', 'snare')[place]}" for place in range(2)]
    table = source.parent / "labels.csv"
    table.write_text("\n".join([*lines, "missing.wav,x,jazz,1,0.1,,kick"]) + "\n")
    labels = "--labels=genre:class,mood,events"  # the player is a label because it is split by
    options = ["--annotations", str(table), labels, "--split-by", "the player"]
    return [*options, "--on-error", "skip"]


WORKERS = ("--workers", "1")
SOURCES = {"midi": _midi, "sousa": _sousa, "audio": _audio}
