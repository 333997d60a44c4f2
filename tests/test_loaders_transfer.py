"""Batches get to the device whole, in order, and finished as the CPU would have finished them."""

import gc
import re
import runpy
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sousa.loaders.finish import Finish
from sousa.loaders.transfer import ahead, started_ahead

CPU = torch.device("cpu")
EXAMPLE = Path(__file__).parents[1] / "examples" / "benchmark_gpu.py"
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


def batches(count: int, asked: list[int] | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    for index in range(count):
        if asked is not None:
            asked.append(index)
        noise = np.random.default_rng(index).integers(-32768, 32768, (2, 300), np.int16)
        waveforms, lengths = torch.from_numpy(noise), torch.tensor([300, 200])
        yield (
            index,
            {
                "waveforms": waveforms,
                "lengths": lengths,
                "labels": torch.tensor([index, -index]),
                "attention_mask": torch.arange(300) < lengths[:, None],
                "sample_ids": [f"{index}a", f"{index}b"],
                "metadata": {"tempo_bpms": [60, index]},
            },
        )


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("device", DEVICES)
def test_every_batch_arrives_in_order_with_its_key(device: str, depth: int) -> None:
    finish = Finish(44_100, 16_000)
    found = list(ahead(batches(9), torch.device(device), depth, finish))
    assert [key for key, _ in found] == list(range(9))
    for (_, batch), (key, sent) in zip(found, batches(9), strict=True):
        assert list(batch) == list(sent)
        assert batch["metadata"] == {"tempo_bpms": [60, key]}
        assert batch["sample_ids"] == sent["sample_ids"]
        assert all(
            value.device.type == device for value in batch.values() if hasattr(value, "device")
        )
        assert batch["labels"].tolist() == [key, -key]
        expected = finish(sent["waveforms"], sent["lengths"])
        for name, value in zip(("waveforms", "lengths", "attention_mask"), expected, strict=True):
            torch.testing.assert_close(batch[name].cpu(), value, rtol=0, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
def test_a_batch_in_use_is_not_written_over_by_those_behind_it() -> None:
    """Pinned memory and device memory are reused at once when they are free."""

    def pinned() -> Iterator[tuple[int, dict[str, Any]]]:
        for index in range(100):
            yield (
                index,
                {"waveforms": torch.full((32, 80_000), index, dtype=torch.float32).pin_memory()},
            )

    sums = []
    for _, batch in ahead(pinned(), torch.device("cuda"), 3):
        slow = torch.rand(2_000, 2_000, device="cuda")
        for _ in range(5):
            slow = slow @ slow / 1_000  # the stream is late when the batch is read
        sums.append(batch["waveforms"].double().mean())
        del batch
    assert torch.stack(sums).tolist() == list(range(100))


def test_without_a_card_nothing_is_read_ahead() -> None:
    asked: list[int] = []
    found = ahead(batches(5, asked), CPU, 3)
    assert asked == []
    next(found)
    assert asked == [0]


@given(st.integers(0, 12), st.integers(0, 4))
def test_no_more_is_started_than_the_depth(count: int, depth: int) -> None:
    """The first is yielded alone, so that it waits for nothing but itself."""
    started: list[int] = []
    items = ((index, index) for index in range(count))
    for key, _ in started_ahead(items, started.append, depth):
        assert len(started) == (1 if key == 0 else min(key + 1 + depth, count))
    assert started == list(range(count))


@given(st.integers(0, 8), st.integers(0, 4))
def test_an_error_comes_after_all_that_came_before_it(good: int, depth: int) -> None:
    def failing() -> Iterator[tuple[int, int]]:
        yield from ((index, index) for index in range(good))
        raise ValueError("row 7 is broken")

    found: list[int] = []
    with pytest.raises(ValueError, match="row 7 is broken"):
        found.extend(key for key, _ in started_ahead(failing(), abs, depth))
    assert found == list(range(good))


@pytest.mark.parametrize("device", DEVICES)
def test_closing_lets_go_of_everything(device: str) -> None:
    """The producer ends too, and no batch is kept."""
    ended: list[bool] = []
    seen: list[weakref.ref[torch.Tensor]] = []

    def watched() -> Iterator[tuple[int, dict[str, Any]]]:
        try:
            for key, batch in batches(9):
                seen.append(weakref.ref(batch["waveforms"]))
                yield key, batch
        finally:
            ended.append(True)

    found = ahead(watched(), torch.device(device), 3)
    next(found)
    next(found)
    found.close()
    del found
    gc.collect()
    assert ended == [True]
    assert [tensor() for tensor in seen] == [None] * len(seen)


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(EXAMPLE.parent))
    return runpy.run_path(str(EXAMPLE))["main"]


def test_the_benchmark_compares_both_ways(
    benchmark: Any, built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark([str(built), "--steps", "2", "--batch-size", "4", "--device", "cpu"])
    note, head, *rows = capsys.readouterr().out.splitlines()
    assert "no GPU" in note
    assert head.split() == ["clips", "sent", "as", "waiting", "ms", "a", "step", "clips/s"]
    assert [row.split()[0] for row in rows] == ["float32", "int16"]
    for row in rows:
        assert 0 <= float(row.split()[1].rstrip("%")) < 100
        assert float(row.split()[-1].replace(",", "")) > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", "0"], "--steps must be at least 1, got 0"),
        (["--batch-size", "1000"], "--batch-size 1000 is more than the clips of the train split"),
    ],
)
def test_the_benchmark_says_in_one_line_what_it_cannot_do(
    benchmark: Any,
    built: Path,
    options: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        benchmark([str(built), *options])
    assert re.search(rf"error: {message}\n\Z", capsys.readouterr().err)


def test_the_benchmark_names_a_folder_that_is_not_there(
    benchmark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        benchmark([str(tmp_path / "nope")])
    assert re.search(r"error: .*nope.*\n\Z", capsys.readouterr().err)
