"""How long waveforms are, known without decoding."""

from typing import Final

import numpy as np

from sousa.loaders.chunks import Pick
from sousa.loaders.layout import Indices
from sousa.loaders.samples import Samples
from sousa.loaders.source import Source
from sousa.loaders.waves import Waves

DURATION: Final = "duration_sec"
"""Column that tells how long a clip is."""

ROWS: Final = 256
"""Rows whose headers are read together."""


def lengths_of(source: Source, samples: Samples, *, skip_broken: bool = False) -> Indices:
    """Return the samples that each waveform has at most, int64 `(rows,)`.

    By `duration_sec` where there is such a column and one rate, else by the header of each clip.

    Raises:
        ValueError: If a duration is null.
    """
    declared, waves = samples.declared, samples.waves
    rate_hz = waves.decoder.rate_hz or declared.rate_hz
    if rate_hz is None or DURATION not in declared.columns:
        return by_headers(source, waves)
    stored, read = source.column(DURATION, skip_broken=skip_broken)
    duration_sec = stored.cast("float64").to_numpy()
    if not np.isfinite(duration_sec[read]).all():
        raise ValueError(f"{DURATION} is null in some rows: filter them out, or drop the column")
    if waves.max_sec is not None:
        duration_sec = np.minimum(duration_sec, waves.max_sec)
    # Durations are float32 and resamplers round: one sample more is never too few.
    found: Indices = np.ceil(np.nan_to_num(duration_sec) * rate_hz).astype(np.int64) + 1
    return found


def by_headers(source: Source, waves: Waves) -> Indices:
    """Return the samples of each waveform as the clips' headers tell; 0 where one is broken."""
    rows = source.layout.rows
    found = np.zeros(rows, np.int64)
    for first in range(0, rows, ROWS):
        for row, pick in enumerate(source.pick(range(first, min(first + ROWS, rows))), first):
            if isinstance(pick, Pick):
                found[row] = length_of(pick, waves)
    return found


def length_of(pick: Pick, waves: Waves) -> int:
    """Return the samples of a waveform as its clip's header tells; 0 where that is broken."""
    try:
        return waves.stored_length(pick.chunk.clips[pick.row])
    except (OSError, ValueError):
        return 0
