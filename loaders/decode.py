"""Encoded clips become samples: decode, mono, resample, cut."""

from dataclasses import dataclass
from math import gcd
from typing import Final, NamedTuple

import soundfile

from sousa.loaders.chunks import Clip
from sousa.loaders.flac import read_flac
from sousa.loaders.resample import Resample, resampled_length, resampler
from sousa.loaders.sndfile import opened, read
from sousa.loaders.sound import MOST_PER_BYTE, Sound, floating
from sousa.loaders.wav import read_pcm16

MARGIN_SEC: Final = 0.1
"""Audio that is decoded beyond a cut, so that the resampler's filter never sees the cut."""


class Cut(NamedTuple):
    """A part of a clip.

    Attributes:
        length_sec: How long it is; shorter clips are left whole.
        share: Where it begins: 0 at the clip's start, just below 1 so that it ends with the clip.
    """

    length_sec: float
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Decoder:
    """Makes waveforms of encoded clips.

    Attributes:
        rate_hz: Rate to resample to; None keeps the stored rate.
        declared_hz: Rate that clips should be stored at; None accepts any.
        resampler: `soxr` or `torchaudio`.
    """

    rate_hz: int | None = None
    declared_hz: int | None = None
    resampler: str = "soxr"

    def decode(self, clip: Clip | None, cut: Cut | None = None) -> Sound:
        """Return a clip's waveform, the mean of its channels.

        Args:
            clip: An encoded audio file: WAV, FLAC, or whatever else libsndfile reads.
            cut: What is needed of it; where the format allows, nothing else is decoded.

        Raises:
            ValueError: If there is no audio in it, it is damaged, or its rate is not as declared.
        """
        if clip is None:
            raise ValueError("audio is null")
        if len(clip) == 0:
            raise ValueError("audio is empty: 0 bytes")
        sound = read_pcm16(clip) or (read_flac(clip) if cut is None else None)
        if sound is not None:
            self._check(len(sound.samples), sound.rate_hz)
            if cut is None and self.rate_hz in (None, sound.rate_hz):
                return sound
            part = self._part(len(sound.samples), sound.rate_hz, cut)
            return self._resampled(sound._replace(samples=sound.samples[part.read]), part)
        try:
            with opened(clip) as file:
                if file.frames > MOST_PER_BYTE * len(clip):
                    raise ValueError(f"audio claims {file.frames} samples in {len(clip)} bytes")
                self._check(file.frames, file.samplerate)
                part = self._part(file.frames, file.samplerate, cut)
                sound = Sound(read(file, part.read), 1.0, file.samplerate, len(clip))
                return self._resampled(sound, part)
        except soundfile.LibsndfileError as error:
            reason = error.error_string.removeprefix("Error : ").rstrip(".")
            raise ValueError(f"audio cannot be decoded: {reason}") from error

    def _check(self, frames: int, rate_hz: int) -> None:
        if self.declared_hz is not None and rate_hz != self.declared_hz:
            raise ValueError(
                f"audio is stored at {rate_hz} Hz, the column declares {self.declared_hz} Hz "
                "(choose the rate by resample_rate, not by cast_column)"
            )
        if frames == 0:
            raise ValueError("audio is empty: 0 samples")

    def _part(self, frames: int, rate_hz: int, cut: Cut | None) -> "Part":
        to_hz = self.rate_hz or rate_hz
        whole = resampled_length(frames, rate_hz, to_hz, self.resampler)
        wanted = whole if cut is None else round(cut.length_sec * to_hz)
        if cut is None or wanted >= whole:
            return Part(slice(0, frames), slice(0, whole))
        first = int(cut.share * (whole - wanted + 1))
        if to_hz == rate_hz:
            return Part(slice(first, first + wanted), slice(0, wanted))
        # The filter begins at a sample before and after which both rates have whole samples.
        up, down = to_hz // gcd(rate_hz, to_hz), rate_hz // gcd(rate_hz, to_hz)
        block = max(0, first - round(MARGIN_SEC * to_hz)) // up
        end = round((first + wanted) / to_hz * rate_hz + MARGIN_SEC * rate_hz)
        read = slice(block * down, min(end, frames))
        return Part(read, slice(first - block * up, first - block * up + wanted))

    def _resampled(self, sound: Sound, part: "Part") -> Sound:
        if self.rate_hz is None or self.rate_hz == sound.rate_hz:
            return sound
        resample: Resample = resampler(self.resampler)
        wave = resample(floating(sound), sound.rate_hz, self.rate_hz)[part.keep]
        return Sound(wave, 1.0, self.rate_hz, sound.nbytes)


class Part(NamedTuple):
    """What is read of a clip, and what is kept of it after resampling."""

    read: slice
    keep: slice


def frames_of(clip: Clip | None) -> tuple[int, int]:
    """Return how many frames a clip says that it has, and its rate in Hz.

    Raises:
        ValueError: If it is no audio file.
    """
    if clip is None or len(clip) == 0:
        raise ValueError("no audio")
    if sound := read_pcm16(clip):
        return len(sound.samples), sound.rate_hz
    try:
        with opened(clip) as file:
            return file.frames, file.samplerate
    except soundfile.LibsndfileError as error:
        raise ValueError("no audio") from error
