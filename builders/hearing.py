"""Does one hear the strokes of a clip where its labels have them?

A stroke is heard where the energy of the sound rises fastest. The rise is measured on the
differentiated signal, in which the broad-band attack of a stick stands out against rooms, hum and
the ring of the drum (Masri & Bateman 1996, "Improved modelling of attack transients in music
analysis-resynthesis"; Bello et al. 2005, doi:10.1109/TSA.2005.851998).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

STEP_MS: Final = 1.0
"""Resolution: energy is summed over this time."""

WINDOW_MS: Final = 4
"""Length of the windows after and before an instant whose energies are compared."""

REACH_MS: Final = 30
"""How far from its label a stroke is looked for."""

FREE: Final = ((30.0, 16), (15.0, 127))
"""A stroke is judged if none came this many ms before it, so that its attack is its own, and if it
is at most this much softer than the stroke before, which may still ring. The second pair is for
clips in which too few strokes pass the first."""

RISE_DB: Final = 3.0
"""Least rise of a stroke that is heard."""

APART_MS: Final = 3.0
"""Most a heard stroke may lie from its label, and from the clip's median."""

FEWEST: Final = 6
"""Strokes it takes to judge a clip."""

LEAST_SHARE: Final = 0.4
"""Share of the judged strokes that must be heard together. Of 6,000 built clips 3 had less: buzz
rolls through a telephone's dynamics. With the audio of another row, 99 % had less."""

FAINT_SHARE: Final = 0.2
"""The same for a clip whose strokes stand out together, though few of them do alone."""

LEAST_PROMINENCE: Final = 6.0
"""By how many standard deviations the rise at the strokes, over all of them, must exceed that
beside them, to stand out. Of 800 built clips of buzzes and graces the worst had 7.4; with the
audio of another row, 90 % had less than 5."""

LOUDEST_DB: Final = 12.0
"""Rises count as this much at most, so that no stroke counts for many."""

BESIDE_MS: Final = 6
"""Lags farther than this from the best one are beside the strokes."""

SLOPE_SEC: Final = 1 / 16_000
"""Time over which the signal is differentiated: at any rate the hiss above 8 kHz counts little."""

FLOOR: Final = 1e-4
"""Energy that counts as none, as a share of the clip's loudest: 40 dB below."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What one hears of a clip's strokes.

    Attributes:
        judged: Strokes that were looked for.
        share: Share of them that sound together, at the offset.
        offset_ms: Median of heard minus labelled onsets.
        prominence: How far the mean rise at the strokes stands out of that beside them, in
            standard deviations; 0 where it does so elsewhere.
    """

    judged: int
    share: float
    offset_ms: float
    prominence: float

    def refusals(self, most_off_ms: float = APART_MS) -> Iterator[str]:
        """Yield what is wrong with the clip, if anything; it may be so much late or early."""
        stands_out = self.prominence >= LEAST_PROMINENCE and self.share >= FAINT_SHARE
        if self.share < LEAST_SHARE and not stands_out:
            yield (
                f"of {self.judged} strokes only {self.share:.0%} are heard where they should be: "
                "is it another row's audio?"
            )
        elif abs(self.offset_ms) > most_off_ms:
            yield f"the strokes sound {self.offset_ms:+.0f} ms from their labels"


def listen(
    samples: NDArray[np.int16], rate_hz: int, strokes: Mapping[str, NDArray[Any]]
) -> Heard | None:
    """Look for the strokes of a clip in its audio.

    Args:
        samples: Mono audio, `(samples,)`.
        rate_hz: Samples per second.
        strokes: Fields of `strokes`, of which `actual_time_ms`, `actual_velocity`
            and `parent_stroke_index` are used.

    Returns:
        What was heard; None if fewer than `FEWEST` strokes stand free enough to be judged.
    """
    free = (strokes["actual_time_ms"][clear(strokes, *limits)] for limits in FREE)
    onset_ms = next((onsets for onsets in free if len(onsets) >= FEWEST), None)
    if onset_ms is None:
        return None
    rise_db = rises(samples, rate_hz)
    lags = np.arange(-REACH_MS, REACH_MS + 1)
    steps = np.rint(onset_ms / STEP_MS).astype(np.int64)[:, None] + lags
    inside = (steps >= 0) & (steps < len(rise_db))
    near_db = np.where(inside, rise_db[np.clip(steps, 0, len(rise_db) - 1)], 0)
    best = np.argmax(near_db, axis=1)
    offset_ms = lags[best] * STEP_MS
    audible = near_db[np.arange(len(best)), best] >= RISE_DB
    if not audible.any():
        return Heard(len(onset_ms), 0.0, 0.0, 0.0)
    median_ms = float(np.median(offset_ms[audible]))
    together = audible & (np.abs(offset_ms - median_ms) <= APART_MS)
    return Heard(len(onset_ms), float(np.mean(together)), median_ms, _prominence(near_db))


def _prominence(near_db: NDArray[np.float64]) -> float:
    """Return how far the lag at which most strokes rise together stands out; near 0 or not at all.

    Args:
        near_db: Rise at each stroke and lag, `(strokes, 2 * REACH_MS + 1)`.
    """
    mean = np.clip(near_db, 0, LOUDEST_DB).mean(axis=0)
    smooth = np.convolve(mean, np.ones(3) / 3, "valid")
    lags = np.arange(len(smooth)) - (len(smooth) - 1) // 2
    best = int(np.argmax(smooth))
    if abs(lags[best]) > APART_MS:
        return 0.0
    beside = smooth[np.abs(lags - lags[best]) > BESIDE_MS]
    return float((smooth[best] - beside.mean()) / (beside.std() + 1e-9))


def clear(strokes: Mapping[str, NDArray[Any]], alone_ms: float, softer: int) -> NDArray[np.bool_]:
    """Return which strokes stand free: no bounces, and none that the stroke before covers.

    Args:
        strokes: As for `listen`.
        alone_ms: Least time since the stroke before.
        softer: Most by which the velocity may fall.
    """
    time_ms, velocity = strokes["actual_time_ms"], strokes["actual_velocity"]
    gap_ms = np.diff(time_ms, prepend=-np.inf)
    fall = -np.diff(velocity, prepend=0)
    led = np.isnan(strokes["parent_stroke_index"].astype(float))
    free: NDArray[np.bool_] = led & (gap_ms >= alone_ms) & (fall <= softer)
    return free


def rises(samples: NDArray[np.int16], rate_hz: int) -> NDArray[np.float64]:
    """Return by how much the energy after each millisecond exceeds that before it, in dB."""
    wave = samples.astype(np.float32)
    lag = max(1, round(rate_hz * SLOPE_SEC))
    slope = wave[lag:] - wave[:-lag]
    edges = np.rint(np.arange(0, len(slope), rate_hz * STEP_MS / 1000)).astype(np.int64)
    energy = np.add.reduceat(np.square(slope, out=slope), edges) if len(slope) else np.zeros(1)
    total = np.concatenate([[0], np.cumsum(energy, dtype=np.float64)])
    at = np.arange(len(energy))
    after = total[np.minimum(at + WINDOW_MS, len(energy))] - total[at]
    before = total[at] - total[np.maximum(at - WINDOW_MS, 0)]
    none = FLOOR * after.max() + 1e-9
    rise: NDArray[np.float64] = 10 * np.log10((after + none) / (before + none))
    return rise
