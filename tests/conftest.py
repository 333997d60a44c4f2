"""Settings of every test run, and a small dataset that many tests read."""

from pathlib import Path

import pytest
from hypothesis import settings

from sousa.builders import cli

# The first import of a large package may take seconds; examples are the same in every run.
settings.register_profile("sousa", deadline=None, derandomize=True)
settings.load_profile("sousa")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all configs and both tokenizers: 12 players, 4 rudiments, 48 clips."""
    out = tmp_path_factory.mktemp("built") / "dataset"
    rudiments = "multiple_bounce_roll,single_paradiddle,flam_accent,single_ratamacue"
    options = ["--preset", "tiny", "--rudiments", rudiments, "--tokens", "grid,ms"]
    assert cli.main(["build", str(out), *options, "--workers", "1"]) == 0
    return out
