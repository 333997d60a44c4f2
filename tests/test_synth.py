"""The drums sound when they should, as hard as they should, and like different drums."""

import hashlib
import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sousa.builders import synth
from sousa.builders.keys import generator
from sousa.builders.kits import KITS, Kit
from sousa.builders.schema import HANDS, SAMPLE_RATE, STROKE_TYPES
from sousa.builders.strokes import BUZZ, GRACE, LEFT, RIGHT, TAP, Strokes

HALF_SECOND = SAMPLE_RATE // 2
kits = pytest.mark.parametrize("kit", KITS.values(), ids=KITS)


def strokes_at(times_ms: list[float], velocities: list[int]) -> Strokes:
    """Return taps of alternating hands."""
    count = len(times_ms)
    return Strokes(
        hand=(np.arange(count) % 2).astype(np.int8),
        stroke_type=np.full(count, TAP, np.int8),
        intended_time_ms=np.array(times_ms, np.float64),
        actual_time_ms=np.array(times_ms, np.float64),
        intended_velocity=np.array(velocities, np.int32),
        actual_velocity=np.array(velocities, np.int32),
        is_grace_note=np.zeros(count, np.bool_),
        is_accent=np.zeros(count, np.bool_),
        diddle_position=np.full(count, -1, np.int32),
        parent_stroke_index=np.full(count, -1, np.int32),
    )


def stroke(kit: Kit, velocity: int, **how: int) -> NDArray[np.float32]:
    return synth.render(synth.single(velocity, **how), kit, HALF_SECOND, generator(7, "test"))


def spectrum(sound: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    power = np.abs(np.fft.rfft(sound.astype(np.float64), 1 << 16)) ** 2
    return np.fft.rfftfreq(1 << 16, 1 / SAMPLE_RATE), power


def centroid_hz(sound: NDArray[np.float32]) -> float:
    hz, power = spectrum(sound)
    return float(np.sum(hz * power) / np.sum(power))


def flatness_db(sound: NDArray[np.float32]) -> float:
    hz, power = spectrum(sound)
    heard = power[(hz > 100) & (hz < 16_000)]
    return float(10 * np.log10(np.exp(np.mean(np.log(heard))) / np.mean(heard)))


def fundamental_hz(sound: NDArray[np.float32]) -> float:
    hz, power = spectrum(sound)
    low = (hz > 80) & (hz < 400)
    return float(hz[low][np.argmax(power[low])])


def t60_sec(sound: NDArray[np.float32]) -> float:
    """By backward integration from -5 to -25 dB (Schroeder 1965)."""
    left = np.cumsum((sound.astype(np.float64) ** 2)[::-1])[::-1]
    level = 10 * np.log10(left / left[0] + 1e-12)
    return float(3 * (np.argmax(level < -25) - np.argmax(level < -5)) / SAMPLE_RATE)


def mean_of(kit: Kit, measure, velocity: int = 100, **how: int) -> float:
    """Average over strokes, since no two are alike."""
    rng = generator(3, "mean")
    played = synth.single(velocity, **how)
    return np.mean([measure(synth.render(played, kit, HALF_SECOND, rng)) for _ in range(6)])


def test_there_are_at_least_eight_kits_and_their_names_tell_them_apart():
    short = {name.replace("_", "")[:8] for name in KITS}
    assert len(KITS) >= 8
    assert len(short) == len(KITS)
    assert all(name == kit.name and name.isidentifier() for name, kit in KITS.items())


@given(
    name=st.sampled_from(sorted(KITS)),
    velocity=st.integers(1, 127),
    hand=st.integers(0, len(HANDS) - 1),
    stroke_type=st.integers(0, len(STROKE_TYPES) - 1),
    onset_ms=st.floats(0, 300),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=150)
def test_a_stroke_begins_within_a_millisecond_of_its_label(
    name, velocity, hand, stroke_type, onset_ms, seed
):
    played = synth.single(velocity, hand=hand, stroke_type=stroke_type, onset_ms=onset_ms)
    sound = np.abs(synth.render(played, KITS[name], HALF_SECOND, generator(seed)))
    onset = np.argmax(sound > 0.1 * sound.max()) / SAMPLE_RATE * 1000
    first = np.flatnonzero(sound)[0] / SAMPLE_RATE * 1000
    assert onset == pytest.approx(onset_ms, abs=1)
    assert first >= onset_ms - 0.5 * 1000 / SAMPLE_RATE


@kits
def test_harder_strokes_are_louder_and_brighter(kit):
    velocities = (20, 50, 80, 110)
    levels = [mean_of(kit, np.std, v) for v in velocities]
    brightness = [mean_of(kit, centroid_hz, v) for v in velocities]
    assert all(b > 1.3 * a for a, b in itertools.pairwise(levels))
    assert all(b > 1.03 * a for a, b in itertools.pairwise(brightness))


@kits
def test_the_hardest_stroke_peaks_between_minus_3_and_minus_6_dbfs(kit):
    rng = generator(1, "peaks")
    peaks = [
        np.abs(synth.render(synth.single(127, hand=i % 2), kit, 4096, rng)).max() for i in range(20)
    ]
    assert -6 < 20 * np.log10(np.median(peaks)) < -3
    assert max(peaks) < 1


@kits
def test_buzz_and_grace_strokes_are_softer_and_begin_darker_than_taps(kit):
    def attack_hz(sound: NDArray[np.float32]) -> float:
        return centroid_hz(sound[: int(0.01 * SAMPLE_RATE)])

    for kind in (BUZZ, GRACE):
        assert mean_of(kit, np.std, 60, stroke_type=kind) < mean_of(kit, np.std, 60)
        assert mean_of(kit, attack_hz, 60, stroke_type=kind) < 0.97 * mean_of(kit, attack_hz, 60)


@kits
def test_hands_differ_but_slightly(kit):
    left, right = (mean_of(kit, centroid_hz, hand=hand) for hand in (LEFT, RIGHT))
    assert 0.005 < abs(left / right - 1) < 0.25
    left, right = (mean_of(kit, np.std, hand=hand) for hand in (LEFT, RIGHT))
    assert abs(20 * np.log10(left / right)) < 1.5


@kits
def test_no_two_strokes_are_the_same_samples(kit):
    sound = synth.render(strokes_at([0, 2000], [90, 90]), kit, 4 * SAMPLE_RATE, generator(1))
    first, second = sound[:HALF_SECOND], sound[2 * SAMPLE_RATE :][:HALF_SECOND]
    assert np.abs(first - second).max() > 0.01 * np.abs(first).max()


def test_kits_are_different_instruments():
    """Every pair differs clearly in pitch, decay, brightness or noisiness.

    One step is a difference that anyone hears: a semitone, a fifth of the decay, a tenth of the
    centroid, 2 dB of flatness. Two drums are four steps apart at least.
    """
    steps = {
        name: np.array(
            [
                12 * np.log2(mean_of(kit, fundamental_hz)),
                np.log(mean_of(kit, t60_sec)) / np.log(1.2),
                np.log(mean_of(kit, centroid_hz)) / np.log(1.1),
                mean_of(kit, flatness_db) / 2,
            ]
        )
        for name, kit in KITS.items()
    }
    near = {
        (one, other): distance
        for one, other in itertools.combinations(steps, 2)
        if (distance := np.abs(steps[one] - steps[other]).sum()) < 4
    }
    assert near == {}


def test_hard_strokes_glide_down_to_their_pitch():
    kit = KITS["electronic_pad"]
    early = slice(0, int(0.03 * SAMPLE_RATE))
    hard = fundamental_hz(stroke(kit, 127)[early])
    soft = fundamental_hz(stroke(kit, 25)[early])
    assert hard > 1.03 * soft


def test_the_same_clip_has_the_same_bits_in_this_and_in_a_fresh_process():
    code = """
import hashlib, numpy as np
from sousa.builders import synth
from sousa.builders.keys import generator
from sousa.builders.kits import KITS
for name in reversed(KITS):
    x = synth.render(synth.single(90, onset_ms=20.0), KITS[name], 20_000, generator(5, name))
    print(name, hashlib.sha256(x.tobytes()).hexdigest())
"""
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = {}
    for name, kit in KITS.items():
        played = synth.single(90, onset_ms=20.0)
        for _ in range(2):
            sound = synth.render(played, kit, 20_000, generator(5, name))
            here.setdefault(name, set()).add(hashlib.sha256(sound.tobytes()).hexdigest())
    assert here == {
        n: {digest} for n, digest in (line.split() for line in there.stdout.split("\n") if line)
    }


@given(
    gaps=st.lists(st.floats(0, 400), min_size=1, max_size=30),
    velocity=st.integers(1, 127),
    name=st.sampled_from(sorted(KITS)),
)
@settings(max_examples=30)
def test_a_longer_clip_begins_with_the_same_samples(gaps, velocity, name):
    times = np.cumsum(gaps)
    played = strokes_at(list(times), [velocity] * len(gaps))
    short = int(times[-1] / 1000 * SAMPLE_RATE) + 2000
    one = synth.render(played, KITS[name], short, generator(1))
    other = synth.render(played, KITS[name], short + 5000, generator(1))
    assert one.dtype == np.float32
    assert one.shape == (short,)
    assert np.isfinite(other).all()
    assert np.array_equal(one, other[:short])


def test_strokes_outside_the_clip_are_left_out():
    kit = KITS["concert"]
    sound = synth.render(strokes_at([-50, 100, 900], [90, 90, 90]), kit, HALF_SECOND, generator(1))
    assert not sound[: int(0.0999 * SAMPLE_RATE)].any()
    assert sound.any()
    nothing = synth.render(strokes_at([], []), kit, 100, generator(1))
    assert nothing.shape == (100,)
    assert not nothing.any()


def test_soft_playing_stays_soft():
    """A clip is not normalised: 20 dB of velocity are 20 dB of level, and more."""
    kit, times = KITS["concert"], [0.0, 150.0, 300.0]
    loud = synth.render(strokes_at(times, [120] * 3), kit, HALF_SECOND, generator(1))
    soft = synth.render(strokes_at(times, [40] * 3), kit, HALF_SECOND, generator(1))
    assert 15 < 20 * np.log10(loud.std() / soft.std()) < 25


def test_a_second_stroke_damps_the_first_without_a_click():
    """A soft stroke into a loud ring takes some of it away, and its own attack stays soft."""
    kit = KITS["worn_pub"]
    alone = synth.render(strokes_at([0], [120]), kit, HALF_SECOND, generator(1))
    both = synth.render(strokes_at([0, 100], [120, 1]), kit, HALF_SECOND, generator(1))
    at = int(0.1 * SAMPLE_RATE)
    step = np.abs(np.diff(both[at - 2 : at + 3])).max()
    assert step < 3 * np.abs(np.diff(alone[at - 500 : at])).max()
    assert np.std(both[at + 2000 : at + 6000]) < np.std(alone[at + 2000 : at + 6000])


@pytest.mark.parametrize(
    ("name", "value"), [("fundamental_hz", 20), ("ring_sec", 0), ("wires_hz", 30_000)]
)
def test_a_kit_that_is_no_drum_is_refused(name, value):
    fields = {field: getattr(KITS["concert"], field) for field in KITS["concert"].__slots__}
    with pytest.raises(ValueError, match=rf"kit concert: {name} must be in \[.*\], got {value}"):
        Kit(**(fields | {name: value}))
