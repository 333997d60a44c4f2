"""Decoded clips become waveforms: scaled, cut, and written where a batch wants them."""

from dataclasses import dataclass

import numpy as np

from sousa.loaders.chunks import Clip
from sousa.loaders.decode import Cut, Decoder, frames_of
from sousa.loaders.resample import resampled_length
from sousa.loaders.sound import Sound, Wave


@dataclass(frozen=True, slots=True)
class Waves:
    """How waveforms are made: decode, mono, resample, peak-normalise, truncate.

    Attributes:
        decoder: Makes sounds of encoded clips.
        normalize: Whether each clip is scaled to a peak of 1; silence stays silence.
        max_sec: Length in seconds that waveforms are cut to; None keeps them whole.
    """

    decoder: Decoder
    normalize: bool
    max_sec: float | None = None

    def sound(self, clip: Clip | None, cut: Cut | None = None) -> Sound:
        """Return a decoded clip, or a part of it, which is then a clip of its own.

        Raises:
            ValueError: If it cannot be decoded.
        """
        if cut is None and self.max_sec is not None and not self.normalize:
            cut = Cut(self.max_sec)  # the peak is that of the whole clip, else a part will do
        return self.decoder.decode(clip, cut)

    def stored_length(self, clip: Clip | None) -> int:
        """Return how many samples a clip's waveform has, by its header; 0 where it is broken."""
        try:
            frames, stored_hz = frames_of(clip)
        except ValueError:
            return 0
        to_hz = self.decoder.rate_hz or stored_hz
        whole = resampled_length(frames, stored_hz, to_hz, self.decoder.resampler)
        return whole if self.max_sec is None else min(whole, round(self.max_sec * to_hz))

    def length(self, sound: Sound) -> int:
        """Return how many samples its waveform has."""
        if self.max_sec is None:
            return len(sound.samples)
        return min(len(sound.samples), round(self.max_sec * sound.rate_hz))

    def write(self, sound: Sound, out: Wave) -> None:
        """Write the beginning of a waveform, `(T,)`, as far as `out` reaches."""
        np.copyto(out, sound.samples[: len(out)])  # the rest is done in the processor's cache
        scale = sound.step
        if self.normalize:
            peak = sound.peak()
            scale = 1 / peak if peak > 0 else scale
        if scale != 1.0:
            np.multiply(out, np.float32(scale), out=out)

    def waveform(self, sound: Sound) -> Wave:
        """Return a waveform of its own, `(T,)`."""
        made = np.empty(self.length(sound), np.float32)
        self.write(sound, made)
        return made
