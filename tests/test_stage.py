"""Every set-up is heard, is what its columns say, and changes neither time nor loudness unasked."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import signal

from sousa.builders import electronics, microphones, rooms, stage, synth
from sousa.builders.keys import generator
from sousa.builders.kits import KITS
from sousa.builders.recording import Recording
from sousa.builders.schema import METADATA, SAMPLE_RATE

SOUSA_PRESETS = (
    *("clean_studio", "clean_close", "practice_room", "concert_hall", "gym", "garage"),
    *("vintage_tape", "lo_fi", "phone_recording", "marching_field", "indoor_competition"),
)
RENDERED = [preset for name, preset in stage.PRESETS.items() if name != "none"]
presets = pytest.mark.parametrize("preset", RENDERED, ids=lambda preset: preset.preset)


def stroke(kit: str = "concert", velocity: int = 100, onset_ms: float = 50) -> NDArray[np.float32]:
    played = synth.single(velocity, onset_ms=onset_ms)
    return synth.render(played, KITS[kit], SAMPLE_RATE, generator(1, kit))


def third_octaves_db(sound: NDArray[np.float32]) -> NDArray[np.float64]:
    power = np.abs(np.fft.rfft(sound)) ** 2
    hz = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE)
    energy = np.histogram(hz, np.geomspace(100, 16_000, 23), weights=power)[0]
    return 10 * np.log10(energy / energy.sum() + 1e-9)


def rt60_sec(response: NDArray[np.float32]) -> float:
    """From -5 to -25 dB of the energy still to come (Schroeder 1965, ISO 3382-1)."""
    left = np.cumsum((response.astype(np.float64) ** 2)[::-1])[::-1]
    level = 10 * np.log10(left / left[0] + 1e-12)
    return float(3 * (np.argmax(level < -25) - np.argmax(level < -5)) / SAMPLE_RATE)


def test_all_presets_of_sousa_are_there():
    assert set(stage.PRESETS) == {*SOUSA_PRESETS, "none"}
    assert all(preset.preset == name for name, preset in stage.PRESETS.items())


def test_none_leaves_the_drum_as_it_is():
    dry = stroke()
    recording = stage.draw(stage.PRESETS["none"], generator(1))
    assert np.array_equal(stage.record(dry, recording, generator(2)), dry)
    assert set(recording.columns().values()) == {None}


@pytest.mark.parametrize("name", stage.PRESETS)
def test_columns_are_those_of_the_schema_and_say_what_was_drawn(name):
    recording = stage.draw(stage.PRESETS[name], generator(4, name))
    columns = recording.columns()
    assert list(columns) == [c.name for c in METADATA if c.name.startswith("aug_")]
    values = [getattr(recording, field) for field in Recording.__slots__ if field != "preset"]
    assert list(columns.values()) == values


@presets
def test_takes_of_a_preset_differ_a_little(preset):
    takes = [stage.draw(preset, generator(i)) for i in range(50)]
    assert stage.draw(preset, generator(0)) == takes[0]
    for field, spread in (("wet", 0.2), ("distance_m", 0.15), ("drive", 0.2)):
        nominal = getattr(preset, field)
        drawn = [getattr(take, field) for take in takes]
        if nominal is None:
            assert set(drawn) == {None}
        else:
            assert np.ptp(drawn) > 0
            assert np.abs(np.array(drawn) / nominal - 1).max() < spread + 0.01
    assert np.ptp([take.noise_db for take in takes]) > 3
    fixed = {"wet": None, "distance_m": None, "drive": None, "noise_db": None}
    fields = [name for name in Recording.__slots__ if name not in fixed]
    assert all(getattr(take, name) == getattr(preset, name) for take in takes for name in fields)


def test_every_preset_is_heard_and_sounds_like_no_other():
    """In some third of an octave each pair differs by 2 dB or more, or in how it dies away."""
    dry = stroke()
    heard = {"dry": dry}
    for preset in RENDERED:
        heard[preset.preset] = stage.record(dry, preset, generator(3))
    late = slice(int(0.2 * SAMPLE_RATE), int(0.5 * SAMPLE_RATE))
    for one, other in itertools.combinations(heard, 2):
        a, b = heard[one], heard[other]
        colour = np.abs(third_octaves_db(a) - third_octaves_db(b)).max()
        decay = abs(20 * np.log10(a[late].std() / a.std() / (b[late].std() / b.std())))
        assert max(colour, decay) > 2, (one, other)


@pytest.mark.parametrize("kit", KITS)
@presets
def test_direct_sound_arrives_within_a_millisecond(preset, kit):
    sound = np.abs(stage.record(stroke(kit, onset_ms=200), preset, generator(3)))
    onset_ms = np.argmax(sound > 0.1 * sound.max()) / SAMPLE_RATE * 1000
    assert onset_ms == pytest.approx(200, abs=1)


@presets
def test_nothing_is_heard_before_it_is_played(preset):
    dry = stroke(onset_ms=500)
    at = int(0.5 * SAMPLE_RATE)
    sound = stage.record(dry, preset, generator(3))
    silence = stage.record(np.zeros_like(dry), preset, generator(3))
    assert np.abs(sound[: at - 1] - silence[: at - 1]).max() < 2e-4


@presets
def test_level_is_kept(preset):
    """The hardest strokes peak near -4 dBFS at every set-up, and soft strokes stay soft."""
    hard = np.mean([np.abs(stage.record(stroke(k, 127), preset, generator(3))).max() for k in KITS])
    assert -7 < 20 * np.log10(hard) < -2
    clean = replace(preset, noise=None, noise_db=None)
    loud, soft = (stage.record(stroke(velocity=v), clean, generator(3)).std() for v in (110, 50))
    assert 20 * np.log10(loud / soft) > 6


@presets
def test_noise_has_the_level_that_the_row_states(preset):
    sound = stage.record(np.zeros(10 * SAMPLE_RATE, np.float32), preset, generator(3))
    assert 20 * np.log10(sound.std()) == pytest.approx(preset.noise_db, abs=1)


@given(
    sound=arrays(np.float32, st.integers(0, 5000), elements=st.floats(-4, 4, width=32)),
    name=st.sampled_from(sorted(stage.PRESETS)),
    seed=st.integers(0, 99),
)
@settings(max_examples=60)
def test_any_sound_keeps_its_length_and_stays_below_one(sound, name, seed):
    take = stage.draw(stage.PRESETS[name], generator(seed))
    heard = stage.record(sound, take, generator(seed))
    assert heard.dtype == np.float32
    assert heard.shape == sound.shape
    assert np.abs(heard).max(initial=0) < 1
    assert np.array_equal(heard, stage.record(sound, take, generator(seed)))


def test_a_long_clip_is_the_short_one_and_more():
    """Blocks of the convolution leave no seams."""
    clean = replace(stage.PRESETS["concert_hall"], noise=None, noise_db=None)
    dry = np.tile(stroke(), 9)
    whole = stage.record(dry, clean, generator(1))
    part = stage.record(dry[: 3 * SAMPLE_RATE], clean, generator(1))
    assert np.allclose(whole[: 3 * SAMPLE_RATE], part, atol=2e-5)


@pytest.mark.parametrize("room", rooms.ROOMS.values(), ids=rooms.ROOMS)
def test_a_room_decays_as_its_table_says(room):
    response = rooms.impulse_response(room)
    tail = response[int((room.predelay_ms + room.early_ms) / 1000 * SAMPLE_RATE) + 1 :]
    middle = signal.butter(2, [500, 2000], "bandpass", fs=SAMPLE_RATE, output="sos")
    assert rt60_sec(signal.sosfilt(middle, tail)) == pytest.approx(room.rt60_sec, rel=0.15)
    assert not response[: int(room.predelay_ms / 1000 * SAMPLE_RATE)].any()


def test_rooms_differ():
    responses = {name: rooms.impulse_response(room) for name, room in rooms.ROOMS.items()}
    for one, other in itertools.combinations(responses.values(), 2):
        count = min(len(one), len(other))
        alike = np.dot(one[:count], other[:count])
        alike /= np.linalg.norm(one[:count]) * np.linalg.norm(other[:count])
        assert abs(alike) < 0.5
    decays = sorted(room.rt60_sec for room in rooms.ROOMS.values())
    assert all(b > 1.2 * a for a, b in itertools.pairwise(decays))


@pytest.mark.parametrize("mic", microphones.MICROPHONES)
def test_a_microphone_has_its_curve_once(mic):
    response = microphones.impulse_response(mic, "on_axis", 1.0)
    hz = np.fft.rfftfreq(8192, 1 / SAMPLE_RATE)
    gain_db = 20 * np.log10(np.abs(np.fft.rfft(response, 8192)))
    for point_hz, point_db in microphones.MICROPHONES[mic]:
        if 100 <= point_hz <= 16_000:
            assert np.interp(point_hz, hz, gain_db) == pytest.approx(point_db, abs=0.7)
    assert np.argmax(np.abs(response)) < 0.0005 * SAMPLE_RATE


def test_a_near_microphone_gains_bass():
    bass = {}
    for distance_m in (0.1, 0.2, 0.3, 1.0):
        response = np.fft.rfft(microphones.impulse_response("dynamic", "on_axis", distance_m), 4096)
        bass[distance_m] = 20 * np.log10(abs(response[10]))  # 108 Hz
    assert bass[0.1] > bass[0.2] + 1 > bass[0.3] + 2
    assert bass[0.3] == pytest.approx(bass[1.0])


def test_a_compressor_leaves_one_part_of_the_excess():
    """A tone at -6 dBFS, 12 dB over the threshold: at 4:1 it comes out 3 dB over it."""
    tone = (0.5 * np.sin(2 * np.pi * 1000 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)).astype("f4")
    after = electronics.compress(tone, 4, -18.06)[SAMPLE_RATE // 2 :]
    assert 20 * np.log10(np.abs(after).max()) == pytest.approx(-15.06, abs=0.3)
    quiet = tone * np.float32(0.2)
    assert np.array_equal(electronics.compress(quiet, 4, -18.06), quiet)


def test_coarse_converters_have_few_steps():
    tone = (0.5 * np.sin(np.arange(4000) / 30)).astype(np.float32)
    assert len(np.unique(electronics.quantise(tone, 6, generator(1)))) <= 2**6
    assert np.abs(electronics.quantise(3 * tone, 6, generator(1))).max() < 1
    held = electronics.hold(tone, 11_025)
    assert np.array_equal(held.reshape(-1, 4), np.repeat(tone[::4, None], 4, axis=1))


def test_the_limiter_touches_only_peaks():
    sound = np.array([0.1, -0.8, 0.79, 1.5, -30], np.float32)
    limited = electronics.limit(sound)
    assert np.array_equal(limited[:3], sound[:3])
    assert 0.8 < limited[3] < 1
    assert -1 < limited[4] < -0.8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"room": "kitchen"}, r"gym: room must be one of \(.*\), got 'kitchen'"),
        ({"wet": None}, r"gym: room needs wet"),
        ({"noise_db": 3.0}, r"gym: noise_db must be in \[-120, -10\], got 3.0"),
        ({"drive": 0.5}, r"gym: drive needs preamp"),
        ({"mic": None}, r"gym: room needs mic"),
        ({"sample_rate": 8000}, r"gym: sample_rate must divide 44100, got 8000"),
    ],
)
def test_a_recording_that_cannot_be_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(stage.PRESETS["gym"], **change)


def test_a_room_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"room gym: rt60_sec must be in \(0, 10\], got 0"):
        replace(rooms.ROOMS["gym"], rt60_sec=0)
    with pytest.raises(ValueError, match=r"room gym: treble must be in \(0, 1\], got 2"):
        replace(rooms.ROOMS["gym"], treble=2)
