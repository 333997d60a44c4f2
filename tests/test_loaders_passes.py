"""Pass after pass takes no more memory: what one has used, the next one uses again."""

import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from loader_data import row, table

from sousa.loaders import create_dataloader

CLIP_BYTES = 300_000
CLIPS = 120


def private_mb() -> float:
    """Memory of this process that is no page of a file."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> str:
    rows = [row("audio_16k", index) for index in range(CLIPS)]
    for each in rows:
        clip = each["audio"]["bytes"] + os.urandom(CLIP_BYTES)
        each["audio"] = {"bytes": clip, "path": None}
    path = tmp_path_factory.mktemp("passes") / "train.parquet"
    pq.write_table(table("audio_16k", rows), path, row_group_size=20, compression="none")
    return str(path)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
@pytest.mark.parametrize("options", [{}, {"stratify": "skill_tier"}, {"bucket": True}])
def test_passes_take_no_more_memory(files: str, options: dict[str, Any]) -> None:
    """Each pass reads 36 MB in a thread of its own: five that stay would be seen."""
    rows = load_dataset("parquet", data_files=files, split="train", streaming=True)
    after = []
    for _ in range(8):
        loader = create_dataloader(rows, 8, num_workers=1, **options)
        assert sum(len(batch["lengths"]) for batch in loader) >= CLIPS
        after.append(private_mb())
    assert after[7] < after[2] + 60
