"""Tokens a second, ours beside MidiTok's datasets and a JSON-lines memory map, in one run.

    python benchmarks/token_loading.py [--clips 50000] [--tokens 400] [--rounds 3]

All give padded int64 batches of 32 shuffled sequences of at most 1,024 tokens. Ours reads uint16
lists from Parquet (`map-style`: `TokenDataset`; `streaming`: row group by row group, nothing
kept; `IterableDataset`: as `datasets` streams them) and gives labels and masks, too. Whoever reads
one file for each clip gets fewer clips.
MidiTok is left out where it is not installed; `DatasetMIDI` parses and tokenizes at each access.
Rounds alternate, so that a busy machine slows all alike; medians are shown, with the range.
"""

import argparse
import json
import mmap
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata, util
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from datasets import IterableDataset, load_dataset
from symusic import Note, Score, Tempo, TimeSignature, Track
from torch.utils.data import DataLoader, Dataset

from sousa.loaders import TokenCollator, TokenDataset, create_token_dataloader

BATCH, MAX_SEQ_LEN, IDS = 32, 1024, 671
FEW = 500
"""Clips of those who read one file for each."""
GROUP_ROWS = 5000

Passes = Callable[[], Iterable[int]]


def clips_of(clips: int, tokens: int) -> list[np.ndarray]:
    """Return ids of clips whose lengths vary by a half around a mean."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(tokens // 2, tokens * 3 // 2, clips)
    ids = rng.integers(4, IDS, int(lengths.sum())).astype(np.uint16)
    return np.split(ids, np.cumsum(lengths)[:-1])


def write_parquet(folder: Path, clips: list[np.ndarray]) -> None:
    """Write a folder as `sousa build` does."""
    offsets = np.concatenate([[0], np.cumsum([len(ids) for ids in clips])]).astype(np.int32)
    rows = pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.concatenate(clips)))
    table = pa.table({"sample_id": [f"clip-{n}" for n in range(len(clips))], "tokens": rows})
    path = folder / "midi_only" / "train-00000-of-00001.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(table, path, row_group_size=GROUP_ROWS, compression="zstd")


def write_midi(path: Path, notes: int) -> None:
    """Write a snare clip: sixteenths at 120, each a little off."""
    rng = np.random.default_rng(notes)
    score, track = Score(480), Track(program=0, is_drum=True)
    score.tempos.append(Tempo(0, 120))
    score.time_signatures.append(TimeSignature(0, 4, 4))
    tick = np.arange(1, notes + 1) * 120 + rng.integers(-15, 15, notes)
    track.notes = Note.from_numpy(
        time=tick.astype(np.int32),
        duration=np.full(notes, 60, np.int32),
        pitch=np.full(notes, 38, np.int8),
        velocity=rng.integers(1, 127, notes).astype(np.int8),
    )
    score.tracks.append(track)
    score.dump_midi(path)


class JsonLines(Dataset[torch.Tensor]):
    """A JSON-lines file in memory, as Aria reads it: offsets, `json.loads`, ids by a dictionary."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._starts = [0]
        while self._map.readline():
            self._starts.append(self._map.tell())
        self._ids = {f"token_{id_}": id_ for id_ in range(IDS)}

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, row: int) -> torch.Tensor:
        """Return the ids of one line."""
        line = self._map[self._starts[row] : self._starts[row + 1]]
        return torch.tensor([self._ids[token] for token in json.loads(line)][:MAX_SEQ_LEN])


def padded(rows: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    return {"input_ids": ids, "lengths": torch.tensor([len(row) for row in rows])}


def stream_of(folder: Path) -> IterableDataset:
    """Return the rows as a user of `datasets` streams them."""
    files = str(folder / "midi_only" / "*.parquet")
    return load_dataset("parquet", data_files=files, split="train", streaming=True)


def ours(data: Path | IterableDataset, **options: Any) -> Passes:
    dataset = TokenDataset(data, max_seq_len=MAX_SEQ_LEN, **options)
    loader = create_token_dataloader(dataset, BATCH, collator=TokenCollator(0))
    return lambda: (int(batch["lengths"].sum()) for batch in loader)


def json_lines(folder: Path, clips: list[np.ndarray]) -> Passes:
    path = folder / "clips.jsonl"
    with path.open("w") as file:
        for ids in clips:
            file.write(json.dumps([f"token_{id_}" for id_ in ids.tolist()]) + "\n")
    loader = DataLoader(JsonLines(path), BATCH, shuffle=True, collate_fn=padded)
    return lambda: (int(batch["lengths"].sum()) for batch in loader)


def miditok(folder: Path, clips: list[np.ndarray]) -> dict[str, Passes]:
    """Return MidiTok's two datasets with its own collator."""
    from miditok import REMI, TokenizerConfig
    from miditok.pytorch_data import DataCollator, DatasetJSON, DatasetMIDI

    (folder / "json").mkdir()
    (folder / "midi").mkdir()
    for number, ids in enumerate(clips):
        (folder / "json" / f"{number}.json").write_text(json.dumps({"ids": ids.tolist()}))
        write_midi(folder / "midi" / f"{number}.mid", len(ids) // 4)
    collate = DataCollator(0)
    stored = DatasetJSON(sorted((folder / "json").iterdir()), MAX_SEQ_LEN)
    files = sorted((folder / "midi").iterdir())
    parsed = DatasetMIDI(files, REMI(TokenizerConfig()), MAX_SEQ_LEN)
    loaders = {"MidiTok DatasetJSON": stored, "MidiTok DatasetMIDI": parsed}

    def passes(dataset: Any) -> Passes:
        loader = DataLoader(dataset, BATCH, shuffle=True, collate_fn=collate)
        return lambda: (int(batch["attention_mask"].sum()) for batch in loader)

    return {name: passes(dataset) for name, dataset in loaders.items()}


def rate(passes: Passes) -> float:
    """Return tokens a second of one pass."""
    started = time.perf_counter()
    tokens = sum(passes())
    return tokens / (time.perf_counter() - started)


def entrants(folder: Path, clips: list[np.ndarray]) -> Iterator[tuple[str, Passes]]:
    yield "ours, map-style", ours(folder)
    yield "ours, map-style, packed", ours(folder, mode="pack")
    yield "ours, map-style, windows", ours(folder, mode="window", stride=MAX_SEQ_LEN // 2)
    yield "ours, streaming", ours(folder, streaming=True)
    yield "ours, streaming, packed", ours(folder, streaming=True, mode="pack")
    yield "ours, IterableDataset", ours(stream_of(folder))
    yield "JSON-lines memory map", json_lines(folder, clips[: 4 * FEW])
    if util.find_spec("miditok"):
        yield from miditok(folder, clips[:FEW]).items()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=50_000)
    parser.add_argument("--tokens", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    clips = clips_of(args.clips, args.tokens)
    total = sum(map(len, clips))
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_parquet(folder, clips)
        print(f"{len(clips)} clips, {total} tokens")
        versions = [f"{name} {metadata.version(name)}" for name in ("torch", "numpy", "pyarrow")]
        print(", ".join(versions))
        racing = dict(entrants(folder, clips))
        rates: dict[str, list[float]] = {name: [] for name in racing}
        for _ in range(args.rounds):
            for name, passes in racing.items():
                rates[name].append(rate(passes))
    best = statistics.median(rates["ours, map-style"])
    for name, found in rates.items():
        middle = statistics.median(found)
        spread = f"({min(found) / 1e6:.2f} to {max(found) / 1e6:.2f})"
        print(f"{name:26} {middle / 1e6:8.2f} M tokens/s {spread:18} 1/{best / middle:.1f} of ours")


if __name__ == "__main__":
    main()
