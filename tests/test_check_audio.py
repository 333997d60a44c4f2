"""Audio that is broken, silent, clipped, shifted or another row's is found."""

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import damage
import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from damage import Row
from hypothesis import given
from hypothesis import strategies as st

from sousa.builders import encoding, hearing
from sousa.builders.validate import validate


@pytest.fixture
def sounds(built: Path, tmp_path: Path) -> Path:
    return damage.copy(built, tmp_path / "sounds", "audio", "audio_16k")


def wrong(folder: Path) -> set[tuple[str, str]]:
    return {(finding.check, finding.where) for finding in validate(folder).findings}


def audio(change: Callable[[np.ndarray, int], tuple[np.ndarray, int]]) -> Callable[[Row], None]:
    """Change the samples of the config at 44.1 kHz, and prepare them again."""

    def change_row(cells: Row) -> None:
        file = cells["audio"]["bytes"]
        samples, rate = soundfile.read(io.BytesIO(file), dtype="int16")
        if rate == 44_100:
            cells["audio"]["bytes"] = encoding.flac(*change(samples, rate))
        else:
            whole = round(cells["duration_sec"] * 44_100)
            high = encoding.resample(samples, rate, 44_100)[:whole]
            changed, _ = change(high, 44_100)
            cells["audio"]["bytes"] = encoding.wav(encoding.resample(changed, 44_100, rate), rate)

    return change_row


def clip_hard(samples: np.ndarray, rate: int) -> tuple[np.ndarray, int]:
    loud = samples.astype(np.int32) * (200_000 // max(1, int(np.abs(samples).max())))
    return np.clip(loud, -32_768, 32_767).astype(np.int16), rate


def noise(samples: np.ndarray) -> np.ndarray:
    return np.random.default_rng(2).choice([-32_000, 32_000], len(samples)).astype(np.int16)


AUDIO_DAMAGE = {
    "20 ms late": ("onsets", audio(lambda x, rate: (np.roll(x, rate // 50), rate))),
    "8 ms early": ("onsets", audio(lambda x, rate: (np.roll(x, -rate // 125), rate))),
    "played backwards": ("onsets", audio(lambda x, rate: (x[::-1].copy(), rate))),
    "too short": ("audio", audio(lambda x, rate: (x[: -rate // 10], rate))),
    "hardly to be heard": ("loudness", audio(lambda x, rate: (x // 64, rate))),
    "noise at full scale": ("loudness", audio(lambda x, rate: (noise(x), rate))),
    "silent": ("level", audio(lambda x, rate: (x * 0, rate))),
    "clipped": ("level", audio(clip_hard)),
}


@pytest.mark.parametrize("damaged", AUDIO_DAMAGE)
def test_wrong_audio_is_found(sounds: Path, damaged: str):
    check, change = AUDIO_DAMAGE[damaged]
    where = damage.change_row(sounds, change)
    assert (check, where) in wrong(sounds)


def of_config(config: str, change: Callable[[bytes], bytes | None]) -> Callable[[Row], None]:
    rate_suffix = {"audio": ".flac", "audio_16k": ".wav"}[config]

    def change_row(cells: Row) -> None:
        if not cells["audio"]["path"].endswith(rate_suffix):
            raise KeyError
        cells["audio"]["bytes"] = change(cells["audio"]["bytes"])

    return change_row


def recode(file: bytes, **options: object) -> bytes:
    samples, rate = soundfile.read(io.BytesIO(file), dtype="int16")
    encoded = io.BytesIO()
    soundfile.write(encoded, samples, rate, **{"format": "FLAC", "subtype": "PCM_16"} | options)
    return encoded.getvalue()


def stereo(file: bytes) -> bytes:
    samples, rate = soundfile.read(io.BytesIO(file), dtype="int16")
    encoded = io.BytesIO()
    soundfile.write(encoded, np.stack([samples, samples], 1), rate, format="FLAC")
    return encoded.getvalue()


FILE_DAMAGE = {
    "none": ("audio", "audio", lambda _: None),
    "empty": ("audio", "audio", lambda _: b""),
    "no audio file": ("audio", "audio", lambda _: b"RIFF" + bytes(100)),
    "truncated": ("audio", "audio", lambda file: file[: len(file) // 2]),
    "of 24 bits": ("audio", "audio", partial(recode, subtype="PCM_24")),
    "stereo": ("audio", "audio", stereo),
    "prepared from something else": (
        "audio_16k",
        "audio_16k",
        lambda file: file[:-1000] + bytes([1] * 1000),
    ),
}


@pytest.mark.parametrize("damaged", FILE_DAMAGE)
def test_a_wrong_audio_file_is_found(sounds: Path, damaged: str):
    check, config, change = FILE_DAMAGE[damaged]
    where = damage.change_row(sounds, of_config(config, change))
    assert wrong(sounds) == {(check, where)}


def test_audio_of_another_row_is_found(sounds: Path):
    """Swap the audio of two rows, and make their lengths agree."""
    file = pq.read_table(damage.shard(sounds, "audio"))["audio"][4]["bytes"].as_py()
    other, _ = soundfile.read(io.BytesIO(file), dtype="int16")

    def swap(samples: np.ndarray, rate: int) -> tuple[np.ndarray, int]:
        return np.resize(other, len(samples)), rate

    where = damage.change_row(sounds, audio(swap), 3)
    assert ("onsets", where) in wrong(sounds)


def knocks(onset_ms: np.ndarray, rate: int = 44_100) -> np.ndarray:
    """Return a second of clicks that ring for 20 ms each, over faint noise."""
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 5, rate)
    for start in np.rint(onset_ms * rate / 1000).astype(int):
        ring = 8000 * np.exp(-np.arange(rate // 50) / (rate / 200))
        samples[start : start + len(ring)] += ring * rng.normal(size=len(ring))
    return np.clip(samples, -32_768, 32_767).astype(np.int16)


def played(onset_ms: np.ndarray) -> dict[str, np.ndarray]:
    count = len(onset_ms)
    return {
        "actual_time_ms": onset_ms,
        "actual_velocity": np.full(count, 80),
        "parent_stroke_index": np.full(count, np.nan),
    }


KNOCKS = np.array([60.0, 160.0, 250.0, 380.0, 470.0, 530.0, 640.0])


@given(shift_ms=st.integers(-25, 25), rate=st.sampled_from([16_000, 44_100]))
def test_what_is_heard_moves_with_the_sound(shift_ms: int, rate: int):
    heard = hearing.listen(knocks(KNOCKS + shift_ms, rate), rate, played(KNOCKS))
    assert heard is not None
    assert heard.share == 1
    assert abs(heard.offset_ms - shift_ms) <= 1
    assert bool(list(heard.refusals())) == (abs(heard.offset_ms) > hearing.APART_MS)


def test_noise_is_no_stroke():
    noise = np.random.default_rng(1).normal(0, 3000, 44_100).astype(np.int16)
    heard = hearing.listen(noise, 44_100, played(KNOCKS))
    assert heard is not None
    assert heard.share < hearing.LEAST_SHARE


def test_faint_strokes_are_heard_where_they_stand_out_together():
    """As those of buzzes through a telephone's dynamics."""
    assert list(hearing.Heard(20, 0.35, -1.0, 8.0).refusals()) == []
    assert list(hearing.Heard(20, 0.35, -1.0, 2.0).refusals()) != []
    assert list(hearing.Heard(20, 0.1, -1.0, 8.0).refusals()) != []


def test_few_strokes_are_not_judged():
    assert hearing.listen(knocks(KNOCKS), 44_100, played(KNOCKS[: hearing.FEWEST - 1])) is None


def test_a_bounce_a_close_stroke_and_a_much_softer_one_are_not_judged():
    strokes = played(np.array([60.0, 80.0, 160.0, 250.0, 380.0]))
    strokes["parent_stroke_index"][4] = 3.0
    strokes["actual_velocity"][3] = 50
    assert hearing.clear(strokes, 30.0, 16).tolist() == [True, False, True, False, False]
