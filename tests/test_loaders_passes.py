"""Pass after pass takes no more memory: what one has used, the next one uses again."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from loader_data import row, table
from read_elsewhere import passes

CLIP_BYTES = 300_000
CLIPS = 120


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
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:  # has read no more
        clips, after_mb = zip(*pool.submit(passes, files, 8, options).result(), strict=True)
    assert min(clips) >= CLIPS
    assert after_mb[7] < after_mb[2] + 60
