"""Other loaders, each as somebody who knows it well would write it.

All shuffle, decode to 16 kHz float32, pad to the longest clip of a batch, and give lengths and
classes; none gives masks, names or ids, as ours does. What reads bytes decodes them by soundfile
and resamples them by soxr.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any

import datasets
import numpy as np
import numpy.typing as npt
import soundfile
import torch
from loading_data import Clips
from loading_limits import RATE_HZ, resampled
from loading_rounds import Entrant, loader_rate
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

Wave = npt.NDArray[np.float32]
Batch = dict[str, Any]
Row = Mapping[str, Any]

SHUFFLE_BUFFER = 1000
WORKERS = (0, 1, 2)
REFERENCE = "reference style on FLAC"

datasets.disable_progress_bars()
# Without this, each shuffled pass of `datasets` over Parquet ends in a sleep of five seconds.
datasets.config.SLEEP_TIME_ON_THREADS_SHUTDOWN = 0


def decoded(file: str | bytes) -> Wave:
    source = io.BytesIO(file) if isinstance(file, bytes) else file
    return resampled(*soundfile.read(source, dtype="float32"))


def padded(waves: Sequence[Wave | Tensor], tiers: Sequence[int]) -> Batch:
    lengths = torch.tensor([len(wave) for wave in waves])
    waveforms = torch.zeros(len(waves), int(lengths.max()))
    for row, wave in zip(waveforms, waves, strict=True):
        row[: len(wave)] = torch.as_tensor(wave)
    return {"waveforms": waveforms, "lengths": lengths, "labels": torch.tensor(tiers)}


def collate(clips: Sequence[tuple[Wave, int]]) -> Batch:
    waves, tiers = zip(*clips, strict=True)
    return padded(waves, tiers)


def collate_bytes(rows: Sequence[Row]) -> Batch:
    waves = [decoded(row["audio"]["bytes"]) for row in rows]
    return padded(waves, [row["skill_tier"] for row in rows])


def collate_decoders(rows: Sequence[Row]) -> Batch:
    waves = [row["audio"].get_all_samples().data[0] for row in rows]
    return padded(waves, [row["skill_tier"] for row in rows])


class AudioFiles(Dataset[tuple[Wave, int]]):
    """Clips from audio files, for PyTorch's own loader."""

    def __init__(self, clips: Clips) -> None:
        self._files = clips.files
        self._tiers = clips.tiers

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> tuple[Wave, int]:
        """Return a clip and its class."""
        return decoded(self._files[index]), self._tiers[index]


class ReferenceStyle(Dataset[dict[str, Any]]):
    """Clips as the public loader of this kind of dataset reads them: a table row, then a file."""

    def __init__(self, clips: Clips) -> None:
        torchaudio = import_module("torchaudio")
        columns = {"audio_path": clips.files, "skill_tier": clips.tiers}
        self._rows = import_module("pandas").DataFrame(columns)
        self._load = torchaudio.load
        self._resample = torchaudio.transforms.Resample(44_100, RATE_HZ)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return a clip, peak-normalised, and its class."""
        row = self._rows.iloc[index]
        waveform, _ = self._load(row["audio_path"])
        waveform = self._resample(waveform.mean(dim=0))
        return {
            "waveform": waveform / waveform.abs().max().clamp(min=1e-8),
            "label": row["skill_tier"],
            "sample_id": row["audio_path"],
        }


def collate_reference(samples: Sequence[Row]) -> Batch:
    waves = [sample["waveform"] for sample in samples]
    batch = padded(waves, [sample["label"] for sample in samples])
    length = batch["waveforms"].shape[1]
    batch["attention_mask"] = (torch.arange(length) < batch["lengths"][:, None]).float()
    return batch | {"sample_ids": [sample["sample_id"] for sample in samples]}


def rows_of(clips: Clips, cache: str, *, streaming: bool, decode: bool) -> Any:
    """Return the clips as `datasets` loads them, with decoders or with bytes."""
    data = datasets.load_dataset(
        "parquet", data_files=clips.parquet, split="train", cache_dir=cache, streaming=streaming
    )
    feature = datasets.Audio(sampling_rate=RATE_HZ) if decode else datasets.Audio(decode=False)
    return data.select_columns(["audio", "skill_tier"]).cast_column("audio", feature)


def of_datasets(
    clips: Clips, cache: str, batch_size: int, *, streaming: bool, decode: bool
) -> Entrant:
    data = rows_of(clips, cache, streaming=streaming, decode=decode)
    if streaming:
        data = data.shuffle(seed=0, buffer_size=SHUFFLE_BUFFER)

    def rate(workers: int, seconds: float) -> float:
        batches = DataLoader(
            data,
            batch_size,
            shuffle=None if streaming else True,
            num_workers=workers,
            collate_fn=collate_decoders if decode else collate_bytes,
        )
        return loader_rate(batches, seconds)

    kind = "stream" if streaming else "map-style"
    how = "Audio feature" if decode else "soundfile"
    return Entrant(f"datasets, {kind}, {how}", rate, WORKERS, "torchcodec" if decode else "")


def tar_batches(clips: Clips, batch_size: int, workers: int) -> Iterable[Batch]:
    webdataset = import_module("webdataset")
    pipeline = (
        webdataset.WebDataset(clips.tars, shardshuffle=len(clips.tars), seed=0)
        .shuffle(SHUFFLE_BUFFER)
        .to_tuple(clips.suffix, "cls")
        .map_tuple(decoded, int)
        .batched(batch_size, collation_fn=collate)
    )
    batches: Iterable[Batch] = webdataset.WebLoader(pipeline, batch_size=None, num_workers=workers)
    return batches


def of_torch(name: str, data: Dataset[Any], batch_size: int, collate_fn: Any) -> Entrant:
    def rate(workers: int, seconds: float) -> float:
        batches = DataLoader(
            data, batch_size, shuffle=True, num_workers=workers, collate_fn=collate_fn
        )
        return loader_rate(batches, seconds)

    return Entrant(name, rate, WORKERS)


def peers(clips: Clips, cache: str, batch_size: int) -> list[Entrant]:
    """Return plain `datasets`, webdataset and PyTorch's own loader over the same clips."""

    def rate_of_tars(workers: int, seconds: float) -> float:
        return loader_rate(tar_batches(clips, batch_size, workers), seconds)

    plain = partial(of_datasets, clips, cache, batch_size)
    return [
        *(
            plain(streaming=stream, decode=code)
            for stream in (False, True)
            for code in (False, True)
        ),
        Entrant("webdataset, soundfile", rate_of_tars, WORKERS, "webdataset"),
        of_torch("DataLoader, soundfile", AudioFiles(clips), batch_size, collate),
    ]


def reference(clips: Clips, batch_size: int) -> Entrant:
    """Return a loader in the style of the public one for SOUSA, with two worker processes."""

    def rate(workers: int, seconds: float) -> float:
        batches = DataLoader(
            ReferenceStyle(clips),
            batch_size,
            shuffle=True,
            num_workers=workers,
            collate_fn=collate_reference,
        )
        return loader_rate(batches, seconds)

    return Entrant(REFERENCE, rate, (2,), "torchaudio")
