"""Finishing on the device gives what decoding on the CPU would have given."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sousa.loaders.finish import Finish
from sousa.loaders.resample import RESAMPLERS, resampler

RATES = [(44_100, 16_000), (48_000, 16_000), (22_050, 16_000), (16_000, 44_100), (8_000, 16_000)]
ODD_RATES = [(12_345, 16_000), (96_000, 8_000), (88_200, 16_000), (8_000, 44_100)]
DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here"),
        ],
    ),
]


def clips(kind: str, lengths: list[int], seed: int = 0) -> list[np.ndarray]:
    """Return int16 clips at full scale."""
    rng = np.random.default_rng([seed, len(lengths)])
    made = []
    for length in lengths:
        time = np.arange(length)
        wave = {
            "noise": rng.uniform(-1, 1, length),
            "impulses": rng.uniform(-1, 1, length) * (rng.random(length) < 0.01),
            "sweep": np.sin(np.pi * 0.5 * time**2 / max(length, 1)),
            "drum": rng.normal(0, 0.2, length) * np.exp(-(time % 5_000) / 800),
            "step": np.ones(length),
        }[kind]
        made.append(np.clip(wave * 32767, -32768, 32767).astype(np.int16))
    return made


def batch_of(waves: list[np.ndarray], device: str = "cpu") -> tuple[torch.Tensor, torch.Tensor]:
    """Return int16 waveforms, with rubbish where no clip is, and lengths."""
    waveforms = torch.full((len(waves), max(map(len, waves))), -12_345, dtype=torch.int16)
    for row, wave in enumerate(waves):
        waveforms[row, : len(wave)] = torch.from_numpy(wave)
    return waveforms.to(device), torch.tensor([len(wave) for wave in waves]).to(device)


def on_the_cpu(wave: np.ndarray, finish: Finish) -> np.ndarray:
    """Return what decoding makes of a clip, one by one."""
    made = wave * np.float32(1 / 32768)
    if finish.to_hz is not None:
        made = resampler(finish.resampler)(made, finish.from_hz, finish.to_hz)
    if finish.normalize and np.abs(made).max(initial=0) > 0:
        made = made / np.abs(made).max()
    return made[: finish.max_length][: finish.fixed_length]


def check(waves: list[np.ndarray], finish: Finish, device: str = "cpu") -> None:
    """Compare a batch with its clips, each by itself."""
    found = [tensor.cpu() for tensor in finish(*batch_of(waves, device))]
    waveforms, lengths, mask = found
    expected = [on_the_cpu(wave, finish) for wave in waves]
    size = finish.fixed_length or max(map(len, expected))
    assert (waveforms.shape, waveforms.dtype) == ((len(waves), size), torch.float32)
    assert lengths.tolist() == [len(wave) for wave in expected]
    assert mask.dtype == torch.bool
    for row, wave in enumerate(expected):
        np.testing.assert_allclose(waveforms[row, : len(wave)].numpy(), wave, atol=1e-5)
        assert not waveforms[row, len(wave) :].any()
        assert mask[row].tolist() == [True] * len(wave) + [False] * (size - len(wave))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", RESAMPLERS)
@pytest.mark.parametrize(("from_hz", "to_hz"), [*RATES, *ODD_RATES])
def test_a_batch_is_resampled_as_its_clips_are(
    from_hz: int, to_hz: int, name: str, device: str
) -> None:
    for kind in ("noise", "impulses", "sweep", "drum", "step"):
        waves = clips(kind, [1, 40, from_hz // 20 + 7, from_hz // 5])
        check(waves, Finish(from_hz, to_hz, name, normalize=False), device)


@given(
    st.lists(st.integers(1, 3_000), min_size=1, max_size=4),
    st.sampled_from([None, 16_000, 22_050]),
    st.booleans(),
    st.none() | st.integers(1, 2_000),
    st.none() | st.integers(1, 2_000),
)
def test_clips_are_finished_in_the_order_of_the_cpu(
    lengths: list[int], to_hz: int | None, normalize: bool, fixed: int | None, limit: int | None
) -> None:
    finish = Finish(44_100, to_hz, normalize=normalize, fixed_length=fixed, max_length=limit)
    check(clips("noise", lengths), finish)


@settings(max_examples=30)
@given(st.integers(0, 32_767), st.sampled_from(RESAMPLERS))
def test_a_quiet_clip_is_as_exact_as_a_loud_one(peak: int, name: str) -> None:
    """Silence stays silence; one step of 16 bits is resampled as well as full scale."""
    wave = (clips("drum", [2_000])[0] / 32768 * peak).astype(np.int16)
    check([wave, np.zeros(2_500, np.int16)], Finish(44_100, 16_000, name))


@pytest.mark.parametrize("name", RESAMPLERS)
def test_a_card_that_multiplies_in_tf32_loses_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TF32 keeps 11 significant bits of each factor; on the CPU that is done by hand."""
    exact = torch.nn.functional.conv1d

    def tf32(value: torch.Tensor) -> torch.Tensor:
        bits = value.contiguous().view(torch.int32)
        return ((bits + 0x1000) & ~0x1FFF).view(torch.float32)

    def conv1d(signal: torch.Tensor, weight: torch.Tensor, **options: Any) -> torch.Tensor:
        return exact(tf32(signal), tf32(weight), **options)

    wave = torch.from_numpy(clips("noise", [4_000])[0][None, None] / np.float32(32768))
    weight = torch.rand(1, 1, 200, generator=torch.Generator().manual_seed(0)) / 10
    assert (conv1d(wave, weight) - exact(wave, weight)).abs().max() > 1e-4  # what would be lost
    monkeypatch.setattr("sousa.loaders.finish.conv1d", conv1d)
    check(clips("noise", [4_000, 3_000]), Finish(44_100, 16_000, name, normalize=False))


def test_mixed_precision_around_the_loop_changes_nothing() -> None:
    finish, batch = Finish(44_100, 16_000), batch_of(clips("drum", [4_000]))
    expected = finish(*batch)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(finish(*batch)[0], expected, rtol=0, atol=0)


def test_what_cannot_be_finished_is_refused_before_the_first_batch() -> None:
    with pytest.raises(ValueError, match="resampler must be one of soxr, torchaudio; got 'sinc'"):
        Finish(44_100, 16_000, "sinc")
    with pytest.raises(ValueError, match="for the device; resample on the CPU"):
        Finish(192_000, 3_999)
