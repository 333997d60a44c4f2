"""Encoded clips become waveforms."""

import struct

import numpy as np
import pyarrow as pa
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from loader_data import encoded, tone

from sousa.loaders.decode import decode, normalize, read_any, read_pcm16

WAVE = tone(3)


def test_a_16_bit_wav_is_read_as_soundfile_reads_it() -> None:
    clip = encoded(WAVE, 16_000, "WAV")
    ours, theirs = read_pcm16(clip), read_any(clip)
    assert ours is not None
    assert ours[1] == theirs[1] == 16_000
    np.testing.assert_array_equal(ours[0], theirs[0])


@given(arrays(np.int16, st.tuples(st.integers(1, 50), st.integers(1, 4))))
def test_every_16_bit_wav_is_the_mean_of_its_channels(samples: np.ndarray) -> None:
    ours = read_pcm16(encoded(samples, 8_000, "WAV"))
    assert ours is not None
    np.testing.assert_allclose(ours[0], samples.mean(axis=1) / 32768, atol=1e-6)  # float32


def test_chunks_that_are_not_audio_are_passed_over() -> None:
    """A chunk of odd length is followed by one byte of padding."""
    clip = encoded(WAVE, 16_000, "WAV")
    note = b"note" + struct.pack("<I", 3) + b"odd\0"
    found = read_pcm16(clip[:36] + note + clip[36:])
    assert found is not None
    np.testing.assert_array_equal(found[0], WAVE / np.float32(32768))


@pytest.mark.parametrize(
    ("form", "subtype", "step"),
    [("WAV", "PCM_24", 2**-23), ("WAV", "FLOAT", 0), ("FLAC", "PCM_16", 0), ("FLAC", "PCM_24", 0)],
)
def test_other_lossless_formats_keep_every_sample(form: str, subtype: str, step: float) -> None:
    wave = (WAVE / 32768).astype(np.float32)
    found, rate_hz = decode(encoded(wave, 44_100, form, subtype))
    assert rate_hz == 44_100
    np.testing.assert_allclose(found, wave, atol=step)


def test_a_clip_may_be_a_view_of_an_arrow_column() -> None:
    clip = pa.array([encoded(WAVE, 16_000, "WAV")])[0].as_buffer()
    np.testing.assert_array_equal(decode(clip)[0], WAVE / np.float32(32768))


def test_stereo_is_mixed_before_it_is_resampled() -> None:
    stereo = np.stack([WAVE, np.zeros_like(WAVE)], axis=1)
    found, rate_hz = decode(encoded(stereo, 44_100), 16_000)
    half = (WAVE / 65536).astype(np.float32)
    assert rate_hz == 16_000
    np.testing.assert_allclose(found, soxr.resample(half, 44_100, 16_000, "HQ"), atol=1e-7)


@pytest.mark.parametrize("form", ["WAV", "FLAC"])
@pytest.mark.parametrize("rate_hz", [None, 16_000, 48_000])
def test_decoding_a_part_gives_the_beginning_of_the_whole(form: str, rate_hz: int | None) -> None:
    clip = encoded(tone(1, duration_sec=2.0), 44_100, form)
    part, part_hz = decode(clip, rate_hz, max_sec=0.5)
    whole, whole_hz = decode(clip, rate_hz)
    assert part_hz == whole_hz
    assert whole_hz // 2 <= len(part) < len(whole)
    # soxr works in blocks, whose float32 rounding depends on the length of the input.
    np.testing.assert_allclose(part[: whole_hz // 2], whole[: whole_hz // 2], atol=1e-6)


def damaged(clip: bytes) -> bytes:
    middle = len(clip) // 2
    return clip[:middle] + b"\0" * 500 + clip[middle + 500 :]


FLAC = encoded(WAVE, 44_100)
WAV = encoded(WAVE, 44_100, "WAV")


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (None, "audio is null"),
        (b"", "audio is empty: 0 bytes"),
        (encoded(WAVE[:0], 44_100, "WAV"), "audio is empty: 0 samples"),
        (b"this is no audio file", "audio cannot be decoded: Format not recognised"),
        (damaged(FLAC), "audio cannot be decoded: flac decoder lost sync"),
        (FLAC[: len(FLAC) // 2], "audio cannot be decoded|audio ends after"),
        (WAV[:1000], "WAV ends after 956 of 17640 bytes"),
        (WAV[:30], "audio cannot be decoded"),
        (encoded(np.float32([0, np.nan]), 44_100, "WAV", "FLOAT"), "NaN or infinite"),
        (encoded(WAVE, 22_050), "stored at 22050 Hz, the column declares 44100 Hz"),
    ],
)
def test_what_is_no_clip_is_refused(clip: bytes | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode(clip, 16_000, declared_hz=44_100)


def test_a_wav_of_unknown_length_is_left_to_soundfile() -> None:
    size = WAV.index(b"data") + 4
    assert read_pcm16(WAV[:size] + b"\xff\xff\xff\xff" + WAV[size + 4 :]) is None


@given(arrays(np.float32, st.integers(1, 20), elements=st.floats(-1, 1, width=32)))
def test_normalizing_makes_the_peak_1_and_leaves_silence(wave: np.ndarray) -> None:
    peak = np.abs(normalize(wave)).max()
    assert peak == pytest.approx(1 if wave.any() else 0)
