"""SoundFonts play in time, alike every time, and say in one line what is wrong with them."""

import importlib.util
import struct
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sousa.builders import soundfont, synth
from sousa.builders.schema import SAMPLE_RATE
from sousa.builders.soundfont import SoundFont, SoundFontError

FONT = Path("/usr/share/sounds/sf2/TimGM6mb.sf2")
PLAYABLE = bool(importlib.util.find_spec("fluidsynth") and find_library("fluidsynth"))
needs_fluidsynth = pytest.mark.skipif(not PLAYABLE, reason="FluidSynth or pyfluidsynth is missing")
needs_font = pytest.mark.skipif(
    not (PLAYABLE and FONT.exists()), reason="FluidSynth, pyfluidsynth or TimGM6mb.sf2 is missing"
)


def write_font(path: Path, *presets: tuple[int, int]) -> Path:
    """Write the head of a SoundFont that names presets, (program, bank), and holds no sound."""
    headers = b"".join(
        struct.pack("<20sHHHIII", b"kit", program, bank, 0, 0, 0, 0)
        for program, bank in (*presets, (0, 0))
    )
    chunk = b"phdr" + struct.pack("<I", len(headers)) + headers
    info = b"LIST" + struct.pack("<I", 4) + b"INFO"
    body = b"sfbk" + info + b"LIST" + struct.pack("<I", len(chunk) + 4) + b"pdta" + chunk
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


def test_drum_kits_are_read_from_the_file(tmp_path):
    font = write_font(tmp_path / "drums.sf2", (0, 0), (16, 128), (0, 128), (5, 1))
    assert soundfont.drum_kits(font) == (0, 16)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a SoundFont 2"),
        (b"RIFF\x04\x00\x00\x00WAVE", "not a SoundFont 2"),
        (b"hello, this is no SoundFont at all", "not a SoundFont 2"),
        (b"RIFF\xff\x00\x00\x00sfbk", "cut off, 12 of 263 bytes are there; download it again"),
    ],
)
def test_a_file_that_is_no_soundfont_is_refused(tmp_path, content, message):
    path = tmp_path / "font.sf2"
    path.write_bytes(content)
    with pytest.raises(SoundFontError, match=rf"^{path}: {message}") as refused:
        SoundFont(path)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(SoundFontError, match=r"nowhere\.sf2: cannot read .*: No such file"):
        SoundFont(tmp_path / "nowhere.sf2")
    with pytest.raises(SoundFontError, match="cannot read the SoundFont: Is a directory"):
        SoundFont(tmp_path)


def test_a_font_without_drums_is_refused(tmp_path):
    font = write_font(tmp_path / "piano.sf2", (0, 0))
    with pytest.raises(SoundFontError, match=r"drum bank 128 has no presets, not preset 0; use a"):
        SoundFont(font)
    font = write_font(tmp_path / "jazz.sf2", (32, 128))
    with pytest.raises(SoundFontError, match=r"drum bank 128 has 32, not preset 0"):
        SoundFont(font)


@given(at=st.integers(0, 200), value=st.integers(0, 255))
@settings(max_examples=60)
def test_a_damaged_head_is_an_error_of_ours_or_none(tmp_path_factory, at, value):
    path = write_font(tmp_path_factory.mktemp("font") / "damaged.sf2", (0, 128))
    content = bytearray(path.read_bytes())
    content[at % len(content)] = value
    path.write_bytes(content)
    try:
        kits = soundfont.drum_kits(path)
    except SoundFontError:
        return
    assert isinstance(kits, tuple)


@pytest.mark.parametrize(
    ("absence", "message"),
    [
        ("import sys; sys.modules['fluidsynth'] = None", "`pyfluidsynth` is not installed"),
        pytest.param(
            "import ctypes.util; ctypes.util.find_library = lambda name: None",
            "Couldn't find the FluidSynth library",
            marks=needs_fluidsynth,
        ),
    ],
)
def test_missing_fluidsynth_is_said_in_one_line(tmp_path, absence, message):
    font = write_font(tmp_path / "drums.sf2", (0, 128))
    code = f"""
{absence}
from sousa.builders.soundfont import SoundFont, SoundFontError
try:
    SoundFont({str(font)!r})
except SoundFontError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.count("\n") == 1
    assert message in said.stdout
    assert "pip install 'sousa-datasets[soundfont]'" in said.stdout


def test_fluidsynth_is_imported_only_to_play():
    code = "import sys, sousa.builders.soundfont; sys.exit('fluidsynth' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@needs_fluidsynth
def test_a_font_that_names_drums_but_holds_none_is_refused(tmp_path):
    font = write_font(tmp_path / "empty.sf2", (0, 128))
    with pytest.raises(SoundFontError, match="FluidSynth cannot load drum kit 0"):
        SoundFont(font)


@needs_font
def test_a_key_without_a_sound_is_refused():
    with pytest.raises(SoundFontError, match="key 5 of drum kit 0 is silent"):
        SoundFont(FONT, key=5)


@needs_font
@given(velocity=st.integers(20, 127), onset_ms=st.floats(0, 500))
@settings(max_examples=20)
def test_a_stroke_begins_within_a_millisecond_of_its_label(velocity, onset_ms):
    played = synth.single(velocity, onset_ms=onset_ms)
    sound = np.abs(soundfont.render(played, SoundFont(FONT), SAMPLE_RATE))
    onset = np.argmax(sound > 0.05 * sound.max()) / SAMPLE_RATE * 1000
    assert onset == pytest.approx(onset_ms, abs=1)


@needs_font
def test_it_is_the_snare_drum_and_not_the_piano():
    """TimGM6mb: the snare peaks near 132 Hz, the piano that key 38 is elsewhere at 73 or 148."""
    sound = soundfont.stroke(SoundFont(FONT), 100)
    power = np.abs(np.fft.rfft(sound, 1 << 16)) ** 2
    hz = np.fft.rfftfreq(1 << 16, 1 / SAMPLE_RATE)
    assert hz[np.argmax(power)] == pytest.approx(132, abs=5)


@needs_font
def test_a_font_plays_the_same_whatever_was_played_before():
    font = SoundFont(FONT)
    first = soundfont.stroke(font, 90).copy()
    soundfont.stroke.cache_clear()
    for velocity in (127, 20, 64):
        soundfont.stroke(font, velocity)
    assert np.array_equal(soundfont.stroke(font, 90), first)


@needs_font
def test_louder_velocities_are_louder_and_the_hardest_peaks_at_its_level():
    font = SoundFont(FONT)
    peaks = [
        np.abs(soundfont.render(synth.single(v), font, SAMPLE_RATE)).max() for v in (40, 80, 127)
    ]
    assert peaks[0] < peaks[1] < peaks[2]
    assert peaks[2] == pytest.approx(soundfont.PEAK)


@needs_font
def test_strokes_are_mixed_at_their_samples_and_cut_at_the_end():
    font = SoundFont(FONT)
    alone = soundfont.render(synth.single(100), font, 4000)
    late = soundfont.render(synth.single(100, onset_ms=50), font, 4000)
    start = round(0.05 * SAMPLE_RATE)
    assert late.shape == (4000,)
    assert late.dtype == np.float32
    assert np.array_equal(late[start:], alone[: 4000 - start])
    assert not soundfont.render(synth.single(100, onset_ms=100), font, 4000).any()
