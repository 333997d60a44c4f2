"""Draw a few clips of a dataset: waveform, strokes over it, spectrogram.

    python examples/draw_clips.py demo/tiny --rudiment flam_paradiddle --picture clips.png

Reads the folder with plain `datasets`, as anybody would who has none of our code. Strokes are drawn
where they were played; their height is their velocity.
"""

import argparse
import io
from pathlib import Path
from typing import Any

import datasets
import matplotlib as mpl
import numpy as np
import soundfile

mpl.use("Agg")
import matplotlib.pyplot as plt

COLOURS = {"L": "tab:orange", "R": "tab:blue"}


def pick(folder: Path, rudiment: str) -> list[dict[str, Any]]:
    """Return one clip of the rudiment from each skill tier.

    Raises:
        ValueError: If there is no such folder, rudiment or clip.
    """
    if not (folder / "audio").is_dir():
        raise ValueError(f"{folder} is no dataset: it holds no folder audio")
    rows = datasets.load_dataset(str(folder), "audio", split="train", streaming=True)
    names = rows.features["rudiment_slug"].names
    if rudiment not in names:
        raise ValueError(f"rudiment must be one of {', '.join(names)}; got {rudiment}")
    chosen: dict[int, dict[str, Any]] = {}
    for row in rows.decode(enable=False):
        if row["rudiment_slug"] == names.index(rudiment):
            chosen.setdefault(row["skill_tier"], row)
        if len(chosen) == 4:
            break
    if not chosen:
        raise ValueError(f"{folder} holds no clip of {rudiment} in its train split")
    return [chosen[tier] for tier in sorted(chosen)]


def draw(row: dict[str, Any], above: Any, below: Any) -> None:
    wave, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]))
    peak = np.abs(wave).max() or 1
    above.plot(np.arange(len(wave)) / rate, wave / peak, color="0.6", linewidth=0.4)
    strokes = row["strokes"]
    for hand_id, (hand, colour) in enumerate(COLOURS.items()):
        mine = np.array(strokes["hand"]) == hand_id
        seconds = np.array(strokes["actual_time_ms"])[mine] / 1000
        height = np.array(strokes["actual_velocity"])[mine] / 127
        above.vlines(seconds, 0, height, color=colour, linewidth=0.9, label=hand)
    above.set(
        xlim=(0, row["duration_sec"]), ylim=(-1, 1.05), ylabel="amplitude / peak, velocity / 127"
    )
    above.set_title(
        f"{row['sample_id']}\noverall {row['overall_score']:.0f}, "
        f"timing {row['timing_consistency']:.0f}, {row['num_mistakes']} mistakes",
        fontsize=9,
    )
    above.legend(loc="upper right", fontsize=7)
    below.specgram(wave + 1e-9, NFFT=512, noverlap=384, Fs=rate, vmin=-140, vmax=-40)
    below.set(ylim=(0, 12_000), ylabel="Hz", xlabel="s")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Draw a few clips of a dataset.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rudiment", default="flam_paradiddle")
    parser.add_argument("--picture", type=Path, default=Path("clips.png"))
    options = parser.parse_args(argv)
    try:
        rows = pick(options.folder, options.rudiment)
    except ValueError as error:
        parser.error(str(error))
    size = (6.5 * len(rows), 6)
    figure, axes = plt.subplots(2, len(rows), figsize=size, sharex="col", squeeze=False)
    for row, above, below in zip(rows, axes[0], axes[1], strict=True):
        draw(row, above, below)
    figure.tight_layout()
    figure.savefig(options.picture, dpi=80)
    print(f"{len(rows)} clips of {options.rudiment} in {options.picture}")


if __name__ == "__main__":
    main()
