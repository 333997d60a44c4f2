"""What is compiled does what numpy and the system do, bit for bit."""

import os
import shutil
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sousa.loaders import mapped, padded
from sousa.loaders.decode import Decoder
from sousa.loaders.padded import write_floats, write_rows
from sousa.loaders.sound import FULL_SCALE, Sound
from sousa.loaders.waves import Waves

HEADERS = Path(sysconfig.get_path("include")) / "Python.h"
INT16 = st.lists(st.integers(-32768, 32767), max_size=40)
FLOAT = st.lists(st.floats(width=32, allow_nan=True), max_size=40)


def at(address: int, samples: np.ndarray) -> np.ndarray:
    """The same samples, so many bytes from where an array would lie."""
    raw = np.frombuffer(bytes(address) + samples.tobytes() + bytes(8), np.uint8)
    return raw[address:][: samples.nbytes].view(samples.dtype)


@st.composite
def sounds(draw: st.DrawFn) -> list[Sound]:
    made = []
    for _ in range(draw(st.integers(1, 5))):
        if draw(st.booleans()):
            samples = np.array(draw(INT16), np.int16)
            made.append(Sound(at(draw(st.integers(0, 3)), samples), FULL_SCALE, 16_000))
        else:
            samples = np.array(draw(FLOAT), np.float32)
            made.append(Sound(at(draw(st.integers(0, 3)), samples), 1.0, 16_000))
    return made


def test_it_was_compiled_where_there_is_a_compiler() -> None:
    assert padded.COMPILED or not shutil.which("cc") or not HEADERS.exists()


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")  # numpy's, of inf * 0
@given(clips=sounds(), cut=st.integers(0, 40), spare=st.integers(0, 9), normalize=st.booleans())
def test_compiled_rows_are_those_of_numpy(
    clips: list[Sound], cut: int, spare: int, normalize: bool
) -> None:
    waves = Waves(Decoder(), normalize)
    lengths = [min(len(clip.samples), cut) for clip in clips]
    shape = len(clips), max(lengths) + spare
    ours, theirs = (np.full(shape, 7, np.float32) for _ in range(2))
    mine, other = (np.full(shape, 7, np.uint8).view(np.bool_) for _ in range(2))
    write_floats(waves, clips, lengths, ours, mine)
    write_rows(waves.write, clips, lengths, theirs, other)
    np.testing.assert_array_equal(ours, theirs)
    assert mine.tobytes() == other.tobytes()


def test_stamps_are_those_of_the_system(tmp_path: Path) -> None:
    """Of files of any name, of what is no file, and of what is not there."""
    for name in ("a", "drüm", "c"):
        (tmp_path / name).write_bytes(bytes(len(name)))
    names = tuple(os.fsencode(tmp_path / name) for name in ("a", "drüm", "nothing", "", "c"))
    assert [*mapped.stamps_of(names)] == [mapped.stamp_of(name) for name in names]
    assert mapped.stamps_of(names)[2] is None
    assert mapped.stamps_of(()) == []


def test_a_hand_worked_batch() -> None:
    clips = [Sound(np.array(clip, np.int16), FULL_SCALE, 16_000) for clip in ([1, -4], [], [0])]
    rows, mask = np.full((3, 3), 9, np.float32), np.zeros((3, 3), np.bool_)
    write_floats(Waves(Decoder(), normalize=True), clips, [2, 0, 1], rows, mask)
    assert rows.tolist() == [[0.25, -1, 0], [0, 0, 0], [0, 0, 0]]
    assert mask.tolist() == [[True, True, False], [False] * 3, [True, False, False]]


@pytest.mark.skipif(not padded.COMPILED, reason="there was no compiler")
@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"lengths": [3]}, "no shorter than its row"),
        ({"lengths": [-1]}, "no shorter than its row"),
        ({"lengths": []}, "do not match"),
        ({"steps": []}, "do not match"),
        ({"samples": [np.zeros(2, np.int64)]}, "int16 or float32"),
        ({"waveforms": np.zeros((1, 5), np.float32)}, "do not match"),
        ({"mask": np.zeros((1, 3), np.bool_)}, "do not match"),
    ],
)
def test_what_does_not_fit_is_not_written(change: dict[str, object], error: str) -> None:
    given = {
        "samples": [np.ones(2, np.int16)],
        "steps": [1.0],
        "lengths": [2],
        "waveforms": np.zeros((1, 4), np.float32),
        "mask": np.zeros((1, 4), np.bool_),
    }
    with pytest.raises(ValueError, match=error):
        padded.unlocked.write_batch(*(given | change).values(), False)
    assert not given["waveforms"].any()
