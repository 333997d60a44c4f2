"""The same clips in every form that a loader reads: longer Parquet folders, audio files, tars."""

import io
import math
import tarfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

ROWS_PER_FILE = 600
GROUP_BYTES = 10_000_000
SUFFIX = {"audio": "flac", "audio_16k": "wav"}


@dataclass(frozen=True, slots=True)
class Clips:
    """Some clips and their classes, in three forms.

    Attributes:
        parquet: Files as built: loaders of Parquet read these.
        files: One audio file a clip.
        tiers: The class of each of `files`.
        tars: One for each of `parquet`, with an audio file and a class for each clip.
        suffix: Of audio files, in folders and in tars.
    """

    parquet: list[str]
    files: list[str]
    tiers: list[int]
    tars: list[str]
    suffix: str


def shards(folder: Path, config: str) -> list[Path]:
    """Return the Parquet files of a built folder's `train`.

    Raises:
        SystemExit: If there are none.
    """
    found = sorted((folder / config).glob("train-*.parquet"))
    if not found:
        raise SystemExit(
            f"no {folder / config}/train-*.parquet; build it: "
            "sousa build DIR --preset small --configs audio,audio_16k,labels_only"
        )
    return found


def files_of(path: Path | str) -> list[bytes]:
    """Return the encoded clips of a Parquet file."""
    table = pq.read_table(path, columns=["audio"])
    found: list[bytes] = table.column("audio").combine_chunks().field("bytes").to_pylist()
    return found


def pcm_of(paths: list[Path]) -> list[npt.NDArray[np.int16]]:
    """Return the samples of all clips, int16 `(T,)` each."""
    encoded = [file for path in paths for file in files_of(path)]
    return [soundfile.read(io.BytesIO(file), dtype="int16")[0] for file in encoded]


def repeated(folder: Path, out: Path, rows: int) -> Path:
    """Write `train` of `audio_16k` over and over, under new ids, until there are enough rows."""
    target = out / f"rows_{rows}"
    if target.is_dir():
        return target
    table = pa.concat_tables(pq.read_table(path) for path in shards(folder, "audio_16k"))
    group_rows = max(1, round(GROUP_BYTES * len(table) / table.column("audio").nbytes))
    unfinished = out / f".rows_{rows}"
    (unfinished / "audio_16k").mkdir(parents=True)
    files = math.ceil(rows / ROWS_PER_FILE)
    edges = [*range(0, rows, ROWS_PER_FILE), rows]
    for number, (first, last) in enumerate(pairwise(edges)):
        pq.write_table(
            rows_of(table, first, last),
            unfinished / "audio_16k" / f"train-{number:05d}-of-{files:05d}.parquet",
            row_group_size=group_rows,
            compression="none",
            use_dictionary=False,
        )
    return unfinished.rename(target)


def rows_of(table: pa.Table, first: int, last: int) -> pa.Table:
    """Return rows of an endless repetition of a table, each with an id of its own."""
    places = np.arange(first, last)
    part = table.take(pa.array(places % len(table)))
    ids = zip(part.column("sample_id").to_pylist(), places // len(table), strict=True)
    column = part.schema.get_field_index("sample_id")
    return part.set_column(
        column, part.schema.field(column), pa.array([f"{name}_{copy}" for name, copy in ids])
    )


def unpacked(parquet: list[Path], out: Path, suffix: str) -> Clips:
    """Write the clips of Parquet files as audio files and as tars."""
    clips = Clips([str(path) for path in parquet], [], [], [], suffix)
    out.mkdir(parents=True, exist_ok=True)
    for path in parquet:
        tiers: list[int] = pq.read_table(path, columns=["skill_tier"])["skill_tier"].to_pylist()
        tar_path = out / f"{path.stem}.tar"
        clips.tars.append(str(tar_path))
        encoded = list(enumerate(zip(files_of(path), tiers, strict=True)))
        if not tar_path.exists():
            write_tar(tar_path, [(file, tier) for _, (file, tier) in encoded], suffix)
        for number, (file, tier) in encoded:
            file_path = out / f"{path.stem}_{number}.{suffix}"
            if not file_path.exists():
                file_path.write_bytes(file)
            clips.files.append(str(file_path))
            clips.tiers.append(tier)
    return clips


def write_tar(path: Path, clips: list[tuple[bytes, int]], suffix: str) -> None:
    unfinished = path.with_suffix(".part")
    with tarfile.open(unfinished, "w") as tar:
        for number, (file, tier) in enumerate(clips):
            for ending, content in ((suffix, file), ("cls", str(tier).encode())):
                member = tarfile.TarInfo(f"{path.stem}_{number}.{ending}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    unfinished.rename(path)
