"""Encoded clips become waveforms."""

import io
import struct

import numpy as np
import pyarrow as pa
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from loader_data import encoded, tone

from sousa.loaders.chunks import Clip
from sousa.loaders.decode import Cut, Decoder
from sousa.loaders.flac import read_flac
from sousa.loaders.sound import Sound, floating
from sousa.loaders.wav import read_pcm16
from sousa.loaders.waves import Waves

WAVE = tone(3)


def decode(clip: Clip | None, rate_hz: int | None = None, cut: Cut | None = None) -> np.ndarray:
    return floating(Decoder(rate_hz).decode(clip, cut))


def test_a_16_bit_wav_is_read_as_soundfile_reads_it() -> None:
    clip = encoded(WAVE, 16_000, "WAV")
    ours, (theirs, rate_hz) = read_pcm16(clip), soundfile.read(io.BytesIO(clip), dtype="float32")
    assert ours is not None
    assert ours.samples.dtype == np.int16
    assert ours.rate_hz == rate_hz == 16_000
    np.testing.assert_array_equal(floating(ours), theirs)


@given(arrays(np.int16, st.tuples(st.integers(1, 50), st.integers(1, 4))))
def test_every_16_bit_wav_is_the_mean_of_its_channels(samples: np.ndarray) -> None:
    ours = read_pcm16(encoded(samples, 8_000, "WAV"))
    assert ours is not None
    np.testing.assert_allclose(floating(ours), samples.mean(axis=1) / 32768, atol=1e-6)  # float32


def test_chunks_that_are_not_audio_are_passed_over() -> None:
    """A chunk of odd length is followed by one byte of padding."""
    clip = encoded(WAVE, 16_000, "WAV")
    note = b"note" + struct.pack("<I", 3) + b"odd\0"
    found = read_pcm16(clip[:36] + note + clip[36:])
    assert found is not None
    np.testing.assert_array_equal(floating(found), WAVE / np.float32(32768))


@pytest.mark.parametrize(
    ("form", "subtype", "step"),
    [("WAV", "PCM_24", 2**-23), ("WAV", "FLOAT", 0), ("FLAC", "PCM_16", 0), ("FLAC", "PCM_24", 0)],
)
def test_other_lossless_formats_keep_every_sample(form: str, subtype: str, step: float) -> None:
    wave = (WAVE / 32768).astype(np.float32)
    found = Decoder().decode(encoded(wave, 44_100, form, subtype))
    assert found.rate_hz == 44_100
    np.testing.assert_allclose(floating(found), wave, atol=step)


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
@given(arrays(np.int16, st.tuples(st.integers(1, 9000), st.integers(1, 3))))
def test_a_flac_is_read_as_soundfile_reads_it(subtype: str, samples: np.ndarray) -> None:
    clip = encoded(samples, 22_050, "FLAC", subtype)
    theirs, _ = soundfile.read(io.BytesIO(clip), dtype="float32", always_2d=True)
    ours = read_flac(clip)
    assert ours is not None
    assert (ours.rate_hz, ours.nbytes) == (22_050, len(clip))
    np.testing.assert_allclose(floating(ours), theirs.mean(axis=1), atol=1e-6)  # float32
    if subtype == "PCM_16" and samples.shape[1] == 1:
        np.testing.assert_array_equal(ours.samples, samples[:, 0])


@given(st.data())
def test_a_damaged_flac_is_never_read_as_another_sound(data: st.DataObject) -> None:
    """Whatever bytes change: the same samples, soundfile's verdict, or an error that says why."""
    clip = bytearray(FLAC)
    for _ in range(data.draw(st.integers(1, 3))):
        clip[data.draw(st.integers(0, len(clip) - 1))] ^= data.draw(st.integers(1, 255))
    damaged = bytes(clip[: data.draw(st.sampled_from([len(clip), len(clip) - 1, len(clip) // 3]))])
    ours = read_flac(damaged)
    if ours is not None:
        theirs, rate_hz = soundfile.read(io.BytesIO(damaged), dtype="float32")
        assert ours.rate_hz == rate_hz
        np.testing.assert_allclose(floating(ours), theirs, atol=1e-6)


def test_a_clip_may_be_a_view_of_an_arrow_column() -> None:
    clip = pa.array([encoded(WAVE, 16_000, "WAV")])[0].as_buffer()
    np.testing.assert_array_equal(decode(clip), WAVE / np.float32(32768))


def test_stereo_is_mixed_before_it_is_resampled() -> None:
    stereo = np.stack([WAVE, np.zeros_like(WAVE)], axis=1)
    found = decode(encoded(stereo, 44_100), 16_000)
    half = (WAVE / 65536).astype(np.float32)
    np.testing.assert_allclose(found, soxr.resample(half, 44_100, 16_000, "HQ"), atol=1e-7)


@pytest.mark.parametrize("form", ["WAV", "FLAC"])
@pytest.mark.parametrize("rate_hz", [None, 16_000, 48_000, 22_050])
@pytest.mark.parametrize("share", [0.0, 0.31, 0.5, 0.999])
def test_a_part_is_what_it_is_in_the_whole(form: str, rate_hz: int | None, share: float) -> None:
    clip = encoded(tone(1, duration_sec=2.0), 44_100, form)
    part, whole = decode(clip, rate_hz, Cut(0.5, share)), decode(clip, rate_hz)
    size = (rate_hz or 44_100) // 2
    first = int(share * (len(whole) - size + 1))
    assert len(part) == size
    # soxr works in blocks, whose float32 rounding depends on where the input begins.
    np.testing.assert_allclose(part, whole[first : first + size], atol=2e-6)


def test_a_part_that_is_longer_than_the_clip_is_the_clip() -> None:
    np.testing.assert_array_equal(decode(FLAC, 16_000, Cut(9.0, 0.7)), decode(FLAC, 16_000))


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
        (FLAC[:21] + b"\xff" * 5 + FLAC[26:], "audio claims 68719476735 samples in"),
        (WAV[:1000], "WAV ends after 956 of 17640 bytes"),
        (WAV[:30], "audio cannot be decoded"),
        (encoded(np.float32([0, np.nan]), 44_100, "WAV", "FLOAT"), "NaN or infinite"),
        (encoded(WAVE, 22_050), "stored at 22050 Hz, the column declares 44100 Hz"),
    ],
    ids=[
        "null",
        "no bytes",
        "no samples",
        "no audio",
        "damaged",
        "FLAC cut",
        "FLAC of many samples",
        "WAV cut",
        "WAV header cut",
        "NaN",
        "another rate",
    ],
)
def test_what_is_no_clip_is_refused(clip: bytes | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Decoder(16_000, declared_hz=44_100).decode(clip)


def test_a_wav_of_unknown_length_is_left_to_soundfile() -> None:
    size = WAV.index(b"data") + 4
    assert read_pcm16(WAV[:size] + b"\xff\xff\xff\xff" + WAV[size + 4 :]) is None


@given(arrays(np.float32, st.integers(0, 20), elements=st.floats(-1, 1, width=32)))
def test_normalizing_makes_the_peak_1_and_leaves_silence(wave: np.ndarray) -> None:
    scaled = Waves(Decoder(), normalize=True).waveform(Sound(wave, 1.0, 16_000))
    assert np.abs(scaled).max(initial=0) == pytest.approx(1 if wave.any() else 0)


@given(arrays(np.int16, st.integers(1, 20)), st.floats(0.1, 30))
def test_the_peak_is_that_of_the_clip_before_it_is_cut(steps: np.ndarray, max_sec: float) -> None:
    scaled = Waves(Decoder(), normalize=True, max_sec=max_sec).waveform(Sound(steps, 2**-15, 1))
    peak = np.abs(steps.astype(float)).max() or 1
    np.testing.assert_allclose(scaled, (steps / peak)[: round(max_sec)], atol=1e-6)
