"""Resampling: soxr as it is, torchaudio's filter without torchaudio, and both as weights."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import soxr
import torch
from hypothesis import given
from hypothesis import strategies as st

from sousa.loaders.filters import sinc_filters, soxr_filters, soxr_response
from sousa.loaders.finish import Finish
from sousa.loaders.resample import RESAMPLERS, resampled_length, resampler

RATES = [(44_100, 16_000), (48_000, 16_000), (22_050, 16_000), (16_000, 44_100), (8_000, 16_000)]
ODD_RATES = [(44_100, 15_990), (12_345, 16_000), (96_000, 8_000), (8_000, 44_100)]
RATE = st.sampled_from([8_000, 11_025, 12_345, 16_000, 22_050, 44_100, 48_000, 96_000])

TO_16_000 = [0.2383997, 0.0803910, 0.0205454]
TO_48_000 = [
    0.9807708,
    -0.4212565,
    0.1260461,
    -0.0154889,
    0.7362779,
    -0.4005228,
    -0.4619060,
    0.6735723,
    -0.0939806,
]


def noise(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, length]).uniform(-1, 1, length).astype(np.float32)


def torchaudio_resample(from_hz: int, to_hz: int) -> Any:
    """The oracle; its wheels need the CUDA that they were built for, or their libraries removed."""
    try:
        from torchaudio.transforms import Resample
    except (ImportError, OSError, RuntimeError) as error:
        pytest.skip(f"torchaudio cannot be imported here: {error}")
    return Resample(from_hz, to_hz)


@given(st.sampled_from(RESAMPLERS), st.integers(1, 50_000), RATE, RATE)
def test_the_length_is_known_beforehand(name: str, length: int, from_hz: int, to_hz: int) -> None:
    found = resampler(name)(noise(length), from_hz, to_hz)
    assert found.dtype == np.float32
    assert found.shape == (resampled_length(length, from_hz, to_hz, name),)


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_soxr_is_soxr_at_quality_hq(from_hz: int, to_hz: int) -> None:
    wave = noise(5_000)
    expected = soxr.resample(wave, from_hz, to_hz, quality="HQ")
    np.testing.assert_array_equal(resampler("soxr")(wave, from_hz, to_hz), expected)


@pytest.mark.parametrize(("from_hz", "to_hz"), [*RATES, *ODD_RATES, (44_100, 48_000)])
def test_torchaudio_is_what_torchaudio_gives(from_hz: int, to_hz: int) -> None:
    oracle = torchaudio_resample(from_hz, to_hz)
    for length in (1, 2, 17, 440, 441, 442, 200_003):
        wave = noise(length)
        expected = oracle(torch.from_numpy(wave)).numpy()
        found = resampler("torchaudio")(wave, from_hz, to_hz)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_torchaudio_gave_these_values() -> None:
    """Of torchaudio 2.11: eight samples at 44.1 kHz, to 16 kHz and to 48 kHz."""
    wave = np.array([1, -0.5, 0.25, 0, 0.75, -1, 0.5, 0.125], np.float32)
    found = resampler("torchaudio")
    np.testing.assert_allclose(found(wave, 44_100, 16_000), TO_16_000, atol=1e-6)
    np.testing.assert_allclose(found(wave, 44_100, 48_000), TO_48_000, atol=1e-6)


def test_torchaudio_rounds_a_length_in_float32_before_it_rounds_up() -> None:
    """160 / 441 of it is a whole number and 1 / 441, which float32 does not see there."""
    length = 264_928
    expected = torchaudio_resample(44_100, 16_000)(torch.from_numpy(noise(length)))
    assert len(expected) == length * 160 // 441
    assert resampled_length(length, 44_100, 16_000, "torchaudio") == len(expected)
    finish = Finish(44_100, 16_000, "torchaudio")
    assert finish.resampled_lengths(torch.tensor([length])).tolist() == [len(expected)]


@pytest.mark.parametrize("name", RESAMPLERS)
def test_an_unchanged_rate_changes_nothing(name: str) -> None:
    wave = noise(100)
    assert resampler(name)(wave, 16_000, 16_000) is wave
    assert resampled_length(100, 16_000, 16_000, name) == 100


@pytest.mark.parametrize("name", RESAMPLERS)
def test_threads_give_what_one_gives(name: str) -> None:
    waves = [noise(20_000 + 77 * index) for index in range(16)]
    sinc_filters.cache_clear()
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda wave: resampler(name)(wave, 44_100, 16_000), waves))
    for wave, made in zip(waves, found, strict=True):
        np.testing.assert_array_equal(made, resampler(name)(wave, 44_100, 16_000))


@pytest.mark.parametrize("refuse", [resampler, lambda name: resampled_length(1, 2, 1, name)])
def test_an_unknown_resampler_is_refused(refuse: Any) -> None:
    with pytest.raises(ValueError, match="resampler must be one of soxr, torchaudio; got 'sox'"):
        refuse("sox")


@pytest.mark.parametrize(("from_hz", "to_hz"), [*RATES, (44_100, 48_000)])
def test_the_response_of_soxr_is_complete(from_hz: int, to_hz: int) -> None:
    """Each way of falling between the samples passes a constant, and nothing is left at the end."""
    bank = soxr_filters(from_hz, to_hz)
    for weights in bank.weights:
        np.testing.assert_allclose(weights.sum(axis=0), 1, atol=1e-5)
    down, up = from_hz // 100, to_hz // 100
    reach = -(-104 * max(up, down) // up)
    response = soxr_response(up, down, reach)
    assert np.abs(response[: up * 2]).max() < 1e-6 > np.abs(response[-up * 2 :]).max()


def test_rates_that_share_too_little_are_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"^a ratio of 64000 : 1333 .* the device; resample on"):
        soxr_filters(192_000, 3_999)
