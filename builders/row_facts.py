"""Rows to what the checks of a whole dataset compare: a few figures of each."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sousa.builders.check_audio import Decoded
from sousa.builders.schema import METADATA, SCORE_COLUMNS, STROKE_TYPES
from sousa.builders.strokes import BUZZ
from sousa.builders.view import Rows

FEWEST: Final = 4
"""Strokes on the grid, or of one kind, whose spread says something."""

BANDS: Final = 24
"""Bands of a spectrum, evenly spaced in pitch."""

LOWEST_HZ: Final = 60.0
FRAME: Final = 1024
"""Samples of each spectrum."""

WINDOW: Final = np.hanning(FRAME).astype(np.float32)

HOP: Final = 4 * FRAME
"""Samples between them: a sample of the clip, which is much the same throughout."""

ENVELOPE: Final = (5, 25, 50, 75, 95)
"""Percentiles of the energies of frames: how far a room rings on, and how loud its noise is."""

SOUND: Final = BANDS + len(ENVELOPE) + 1
"""Numbers that describe a sound: bands, envelope, level."""

PLACE: Final = ("file", "row", "split")
EVERY: Final = (
    *("sample_id", "augmentation_group_id", "profile_id"),
    *("skill_tier", "dominant_hand"),
)
"""Columns of all rows that are kept; those of a sample are all but lists and files."""


def every_row(rows: Rows, split: str) -> pa.Table:
    """Return what is compared of all rows: where they are, whose, and what they play."""
    files, numbers = zip(*rows.places, strict=True) if len(rows) else ((), ())
    table = {
        "file": pa.array(files, pa.string()).dictionary_encode(),
        "row": pa.array(numbers, pa.int64()),
        "split": pa.array([split] * len(rows), pa.string()).dictionary_encode(),
    }
    table |= {name: rows.table[name].combine_chunks() for name in EVERY if name in rows}
    if "midi" in rows:
        digests = [digest(file) if file else None for file in rows.cells("midi")]
        table["performance"] = pa.array(digests, pa.uint64())
    return pa.table(table)


def digest(content: bytes | memoryview) -> int:
    """Return 64 bits that tell contents apart."""
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "little")


def sampled_rows(
    rows: Rows, sounds: "list[Sounded | None]", named: Mapping[str, str] | None = None
) -> pa.Table:
    """Return what is compared of a sample: labels, spreads, and the sound.

    Args:
        rows: Rows of one split.
        sounds: Of each row, where it was heard.
        named: Further columns that are kept, and the names they get.
    """
    scalars = [column.name for column in METADATA + SCORE_COLUMNS if column.name in rows]
    table = {name: rows.table[name].combine_chunks() for name in scalars}
    for kept, name in (named or {}).items():
        if name in rows:
            table[kept] = rows.table[name].combine_chunks()
    if "strokes" in rows:
        timing, velocity = spreads(rows)
        table |= {"timing_sd_ms": pa.array(timing), "velocity_cv": pa.array(velocity)}
    table["heard"] = pa.array([each.digest if each else None for each in sounds], pa.uint64())
    spectra = [each.spectrum.tolist() if each else None for each in sounds]
    table["sound"] = pa.array(spectra, pa.list_(pa.float32(), SOUND))
    return pa.table(table)


def spreads(rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return of each row how much its timing and its velocities scatter.

    Timing: the standard deviation, in ms, of the errors of the strokes that stand on the grid
    (neither graces nor bounces), less a straight line through them. Velocity: the mean over the
    kinds of stroke of their coefficient of variation. NaN where there are too few strokes.
    """
    s = rows.strokes
    bounce = (s["stroke_type"] == BUZZ) & ~np.isnan(s["parent_stroke_index"].astype(float))
    on_grid = (s["is_grace_note"] != 1) & ~bounce
    timing, velocity = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    for row in range(len(rows)):
        part = slice(s.starts[row], s.starts[row + 1])
        use = on_grid[part]
        timing[row] = _detrended(s["intended_time_ms"][part][use], s["timing_error_ms"][part][use])
        kinds, loud = s["stroke_type"][part][use], s["actual_velocity"][part][use]
        of_kind = (loud[kinds == kind] for kind in range(len(STROKE_TYPES)))
        cvs = [np.std(each) / np.mean(each) for each in of_kind if len(each) >= FEWEST]
        velocity[row] = np.mean(cvs) if cvs else np.nan
    return timing, velocity


def _detrended(time: NDArray[np.float64], error: NDArray[np.float64]) -> float:
    """Return the standard deviation around a straight line."""
    if len(time) < FEWEST:
        return float("nan")
    time, error = time - time.mean(), error - error.mean()
    size = float(time @ time)
    return float(np.std(error - time * (float(time @ error) / size if size else 0.0)))


class Sounded:
    """What one hears of a clip, in few numbers.

    Attributes:
        digest: Tells sounds apart.
        spectrum: Levels of the bands and of the frames in dB, relative to their mean and to the
            loudest frame, and the clip's level, `(SOUND,)`.
    """

    __slots__ = ("digest", "spectrum")

    def __init__(self, audio: Decoded, level_dbfs: float) -> None:
        """Describe what was decoded, of which the level is known."""
        samples = np.ascontiguousarray(audio.samples[:, 0])
        self.digest = digest(samples.data)
        self.spectrum = np.append(_described(samples, audio.rate_hz), np.float32(level_dbfs))


def _described(samples: NDArray[np.int16], rate_hz: int) -> NDArray[np.float32]:
    if len(samples) < FRAME:
        samples = np.pad(samples, (0, FRAME - len(samples)))
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP].astype(np.float32)
    power = np.abs(np.fft.rfft(frames * WINDOW, axis=1)) ** 2
    edges = _edges(rate_hz)
    sums = np.cumsum(np.pad(power.mean(axis=0), (1, 0)), dtype=np.float64)
    bands = np.zeros(BANDS)
    bands[: len(edges) - 1] = _db(np.diff(sums[edges]))
    bands[: len(edges) - 1] -= bands[: len(edges) - 1].mean()
    energy = _db(power.sum(axis=1, dtype=np.float64))
    envelope = np.percentile(energy, ENVELOPE) - energy.max()
    return np.concatenate([bands, envelope]).astype(np.float32)


@lru_cache(maxsize=16)
def _edges(rate_hz: int) -> NDArray[np.int64]:
    """Return where the bands begin and end, as places in a spectrum."""
    edges_hz = np.geomspace(LOWEST_HZ, rate_hz / 2, BANDS + 1)
    return np.unique(np.rint(edges_hz * FRAME / rate_hz).astype(np.int64))


def _db(power: NDArray[np.float64]) -> NDArray[np.float64]:
    level: NDArray[np.float64] = 10 * np.log10(power + 1.0)
    return level
