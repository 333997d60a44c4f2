"""Resamplers as plain weights, which any device can apply: torchaudio's, and soxr's, measured."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
import soxr

Wave = npt.NDArray[np.float32]
Steps = npt.NDArray[np.int64]
Weight = Callable[[Steps, Steps], Wave]
"""Weights of inputs `(K, 1)` for outputs `(G,)`, counted from the start of a block: `(K, G)`."""

GROUP: Final = 64
"""Outputs that share a slice of the input: few enough to skip most zeros, enough for BLAS."""

SINC_ZEROS: Final = 6
SINC_ROLLOFF: Final = 0.99
"""Defaults of `torchaudio.transforms.Resample`: a sinc under a Hann window."""

SOXR_ZEROS: Final = 104
"""Samples of the lower rate after which the response of soxr HQ is below 1e-7."""

SOXR_START: Final = 64
"""Samples of the lower rate in which soxr HQ still feels that its stages began with zeros."""

LONGEST_PROBE: Final = 2**25
"""Samples, 128 MiB, in which a soxr filter may be measured; 44,100 to 15,999 Hz takes a quarter."""


@dataclass(frozen=True, eq=False)
class Filters:
    """A resampler that turns each block of `down` samples into `up`, by fixed weights.

    Attributes:
        up: Samples of a block after resampling.
        down: Samples of a block before.
        before: Samples before a block that its result depends on.
        after: Samples from the start of a block on that its result depends on.
        starts: For each group of outputs, the sample at which its weights begin, counted from
            `before` samples before the block.
        weights: For each group of outputs, float32 `(inputs, outputs)`.
        head: float32 `(inputs, outputs)`: how the first outputs of a clip come from its first
            inputs, where that is not as everywhere else.
    """

    up: int
    down: int
    before: int
    after: int
    starts: tuple[int, ...]
    weights: tuple[Wave, ...]
    head: Wave

    def groups(self) -> Iterator[tuple[int, int, Wave]]:
        """Yield each group's first output in a block, the start of its weights, and them."""
        for group, (start, weights) in enumerate(zip(self.starts, self.weights, strict=True)):
            yield group * GROUP, start, weights


def lowest_terms(from_hz: int, to_hz: int) -> tuple[int, int]:
    """Return how many samples come of how many: `(up, down)`.

    Examples:
        >>> lowest_terms(44_100, 16_000)
        (160, 441)
    """
    common = math.gcd(from_hz, to_hz)
    return to_hz // common, from_hz // common


def grouped(up: int, down: int, reach: int, weight: Weight, head: Wave) -> Filters:
    """Return weights in groups of outputs, in blocks that are worth a matrix product.

    Args:
        up: Samples after resampling, in lowest terms.
        down: Samples before.
        reach: Samples on each side of an output that it depends on.
        weight: The weights.
        head: Those of a clip's start.
    """
    blocks = math.ceil(2 * GROUP / up)
    up, down = up * blocks, down * blocks
    starts, weights = [], []
    for first in range(0, up, GROUP):
        outputs = np.arange(first, min(first + GROUP, up))
        start, end = first * down // up - reach, outputs[-1] * down // up + reach + 2
        starts.append(start + reach)
        weights.append(np.ascontiguousarray(weight(outputs, np.arange(start, end)[:, None])))
    after = starts[-1] - reach + len(weights[-1])
    return Filters(up, down, reach, after, tuple(starts), tuple(weights), head)


@lru_cache(maxsize=16)
def sinc_filters(from_hz: int, to_hz: int) -> Filters:
    """Return the resampler that `torchaudio.transforms.Resample` is by default.

    It is Julius O. Smith's band-limited interpolation ("Digital Audio Resampling", CCRMA). Each
    output's place in its block is rounded to float32, as there: for rates with little in common
    that decides the fourth digit.

    Args:
        from_hz: Rate before.
        to_hz: Rate after, another one.
    """
    up, down = lowest_terms(from_hz, to_hz)
    base = min(up, down) * SINC_ROLLOFF

    def weight(outputs: Steps, inputs: Steps) -> Wave:
        block, phase = np.divmod(outputs, up)
        place = (phase.astype(np.float32) / np.float32(up)).astype(np.float64)
        time = ((inputs - block * down) / down - place) * base
        time = np.clip(time, -SINC_ZEROS, SINC_ZEROS)
        window = np.cos(time * (np.pi / SINC_ZEROS / 2)) ** 2
        found: Wave = (np.sinc(time) * window * (base / down)).astype(np.float32)
        return found

    reach = math.ceil(SINC_ZEROS * down / base)
    return grouped(up, down, reach, weight, np.zeros((0, 0), np.float32))


@lru_cache(maxsize=16)
def soxr_filters(from_hz: int, to_hz: int) -> Filters:
    """Return the resampler that soxr is at quality HQ, as measured from soxr itself.

    soxr is linear. Its response is the same everywhere but in a clip's first samples: it runs in
    stages, and each but the first begins with zeros instead of what the one before would have
    rung before the clip.

    Args:
        from_hz: Rate before.
        to_hz: Rate after, another one.

    Raises:
        ValueError: If the measurement would take more than `LONGEST_PROBE` samples.
    """
    up, down = lowest_terms(from_hz, to_hz)
    reach = math.ceil(SOXR_ZEROS * max(1, down / up))
    response = soxr_response(up, down, reach)

    def weight(outputs: Steps, inputs: Steps) -> Wave:
        place = outputs * down - inputs * up + reach * up
        inside = (place >= 0) & (place < len(response))
        return np.where(inside, response[np.where(inside, place, 0)], np.float32(0))

    return grouped(up, down, reach, weight, soxr_head(up, down, reach))


def soxr_response(up: int, down: int, reach: int) -> Wave:
    """Return what an impulse becomes, `(2 * reach * up + 1,)`, at every place between two samples.

    Impulses at `down` samples in a row fall between the outputs in every way there is. Each is in
    a channel where it meets no other. A longer signal in one channel would not do: for rates with
    little in common soxr's clock drifts by a thousandth of a sample in a few minutes.

    Raises:
        ValueError: If the signal would be longer than `LONGEST_PROBE`.
    """
    channels = 2 * reach + 1
    places = 2 * reach + np.arange(channels * math.ceil(down / channels))
    frames = len(places) + 4 * reach
    if frames * channels > LONGEST_PROBE:
        raise ValueError(
            f"a ratio of {down} : {up} between rates takes too long a filter for the device; "
            "resample on the CPU, or choose a rate that shares a factor with the stored one"
        )
    probe = np.zeros((frames, channels), np.float32)
    probe[places, places % channels] = 1
    shown = soxr.resample(probe, down, up, quality="HQ")
    steps = np.arange(len(shown)) * down
    response = np.zeros(2 * reach * up + 1, np.float32)
    for place in places:
        near = slice(-((reach - place) * up // down), (place + reach) * up // down + 1)
        response[steps[near] - (place - reach) * up] = shown[near, place % channels]
    return response


def soxr_head(up: int, down: int, reach: int) -> Wave:
    """Return the weights of a clip's first outputs, `(inputs, outputs)`: an impulse a channel."""
    inputs = reach + math.ceil(SOXR_START * max(1, down / up))
    outputs = math.ceil(SOXR_START * max(1, up / down))
    impulses = np.eye(inputs + reach, inputs, dtype=np.float32)
    shown = soxr.resample(impulses, down, up, quality="HQ")
    return np.ascontiguousarray(shown[:outputs].T)
