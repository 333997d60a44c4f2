"""Checks that compare rows with each other: duplicates, ranges, leaks, labels nobody can hear."""

from pathlib import Path

import damage
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from damage import Row
from hypothesis import given, settings
from hypothesis import strategies as st

from sousa.builders import check_duplicates, check_leaks, check_ranges, check_sound_labels
from sousa.builders.check_audio import decode
from sousa.builders.check_leaks import player_guess, tier_guess
from sousa.builders.encoding import flac
from sousa.builders.findings import Doubt, Whole
from sousa.builders.row_facts import SOUND, Sounded
from sousa.builders.validate import validate

NONE = pa.table({})
RUDIMENTS, PLAYERS = 40, 20


def table(seed: int = 0, **changed: object) -> pa.Table:
    """Return the figures of 20 players, each playing 40 rudiments, as a good dataset has them."""
    rng = np.random.default_rng(seed)
    player = np.repeat(np.arange(PLAYERS), RUDIMENTS)
    count, tier = len(player), player % 4
    skill = tier + rng.normal(0, 0.5, count)
    score = {
        name: 50 + 10 * skill + rng.normal(0, 3, count)
        for name in {name for pair in check_ranges.CORRELATIONS for name in pair[:2]}
    }
    columns = {
        "file": ["audio/train-00000-of-00001.parquet"] * count,
        "row": np.arange(count),
        "split": ["train"] * count,
        "sample_id": [f"s{row}" for row in range(count)],
        "profile_id": [f"p{each}" for each in player],
        "augmentation_group_id": [f"g{row}" for row in range(count)],
        "rudiment_slug": np.tile(np.arange(RUDIMENTS), PLAYERS),
        "skill_tier": tier,
        "tempo_bpm": rng.integers(60, 180, count).astype(np.float32),
        "kit": [("maple", "brass", "field")[each] for each in rng.integers(0, 3, count)],
        "timing_sd_ms": np.array([55, 30, 16, 10])[tier] * rng.uniform(0.8, 1.2, count),
        "velocity_cv": np.array([0.25, 0.18, 0.13, 0.08])[tier] * rng.uniform(0.8, 1.2, count),
        "heard": np.arange(count, dtype=np.uint64),
        "performance": np.arange(count, dtype=np.uint64),
    }
    return pa.table(columns | score | changed)


def found(whole: Whole) -> list[str]:
    return [f"{where}: {message}" for where, message in whole.wrong]


def test_a_sound_that_occurs_twice_is_found_with_both_rows():
    heard = np.arange(800, dtype=np.uint64)
    heard[7] = heard[3]
    whole = check_duplicates.check(NONE, table(heard=heard), built=True)
    (line,) = found(whole)
    assert "row 7 (s7): sounds exactly like" in line
    assert "row 3 (s3), in the same split" in line


def test_a_sound_on_both_sides_of_a_split_is_an_error_in_imported_data_too():
    heard = np.arange(800, dtype=np.uint64)
    heard[[7, 9]] = heard[3]
    split = ["train"] * 9 + ["test"] * 791
    whole = check_duplicates.check(NONE, table(heard=heard, split=split), built=False)
    doubts = [isinstance(message, Doubt) for _, message in whole.wrong]
    assert doubts == [True, False]
    assert "in split train" in found(whole)[1]


def test_recordings_of_one_performance_may_play_the_same_and_others_may_not():
    notes, group = np.arange(800, dtype=np.uint64), [f"g{row}" for row in range(800)]
    notes[[1, 2]], group[1] = notes[0], "g0"
    every = table(performance=notes, augmentation_group_id=group)
    (line,) = found(check_duplicates.check(every, NONE, built=True))
    assert "(s2): plays exactly the notes of" in line


def test_audio_that_was_copied_to_another_row_is_found(built: Path, tmp_path: Path):
    """In a folder: the row of the test split has the audio of one of the train split."""
    folder = damage.copy(built, tmp_path / "copied", "audio")
    train = pq.read_table(damage.shard(folder, "audio")).slice(5, 1).to_pylist()[0]

    def copy(cells: Row) -> None:
        cells["audio"]["bytes"] = train["audio"]["bytes"]
        cells["duration_sec"] = train["duration_sec"]

    where = damage.change_row(folder, copy, split="test")
    lines = {f.where: f for f in validate(folder).findings if f.check == "duplicates"}
    assert set(lines) == {where}
    assert f"row 5 ({train['sample_id']}), in split train" in lines[where].message
    assert lines[where].rows[0].row == 3


@pytest.mark.parametrize("seed", range(3))
def test_a_good_dataset_is_within_the_published_ranges(seed: int):
    whole = check_ranges.check(NONE, table(seed), built=True)
    assert found(whole) == []
    assert whole.examined == 800
    assert "Repp 2005" in whole.figure


RANGE_DAMAGE = {
    "beginners as tight as professionals": (
        {"timing_sd_ms": np.full(800, 12.0)},
        "tier beginner: median detrended timing SD, ms is 12, published 35-80",
    ),
    "velocities that never vary": (
        {"velocity_cv": np.full(800, 0.01)},
        "tier advanced: median velocity CV within a kind of stroke is 0.01, published 0.08-0.18",
    ),
    "scores that fall with skill": (
        {"hand_balance": np.tile(np.repeat([80.0, 70.0, 60.0, 50.0], 40), 5)},
        "tiers: mean hand_balance must rise with skill, is 80, 70, 60, 50",
    ),
    "scores that have nothing to do with each other": (
        {"timing_consistency": np.random.default_rng(1).uniform(0, 100, 800)},
        "scores: timing_accuracy and timing_consistency correlate by ",
    ),
}


@pytest.mark.parametrize("damaged", RANGE_DAMAGE)
def test_a_distribution_out_of_range_is_found(damaged: str):
    changed, line = RANGE_DAMAGE[damaged]
    lines = found(check_ranges.check(NONE, table(**changed), built=True))
    assert any(each.startswith(line) for each in lines), lines


def test_a_rudiment_in_which_beginners_play_best_is_found():
    many = pa.concat_tables([table(seed) for seed in range(4)])
    spread = many["timing_sd_ms"].to_numpy().copy()
    flams = (many["rudiment_slug"].to_numpy() == 19) & (many["skill_tier"].to_numpy() == 0)
    spread[flams] = 3.0
    at = many.column_names.index("timing_sd_ms")
    many = many.set_column(at, "timing_sd_ms", pa.array(spread))
    (line,) = found(check_ranges.check(NONE, many, built=True))
    assert line.startswith("rudiment flam: timing SD of beginners, 3 ms, must exceed")


def test_few_clips_show_no_distribution():
    whole = check_ranges.check(NONE, table().slice(0, 300), built=True)
    assert whole.examined == 0
    assert whole.figure == "not judged: no tier has 100 clips of 3 players"


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32))
def test_metadata_that_was_drawn_for_each_clip_tells_nothing(seed: int):
    assert found(check_leaks.check(NONE, table(seed), built=True)) == []


def test_tempos_that_were_drawn_once_for_each_player_tell_who_plays():
    """The defect of the existing generator: five tempos for each player, in all rudiments."""
    rng = np.random.default_rng(3)
    of_player = np.stack([rng.choice(np.arange(60, 181), 5, replace=False) for _ in range(20)])
    tempo = of_player[np.repeat(np.arange(20), 40), rng.integers(0, 5, 800)]
    (line,) = found(check_leaks.check(NONE, table(tempo_bpm=tempo.astype(np.float32)), built=True))
    assert line.startswith("column tempo_bpm: tells the player: ")
    assert line.endswith("guessed from it alone, 6% by chance")


def test_a_tempo_that_goes_with_the_tier_tells_the_tier_of_unknown_players():
    rng = np.random.default_rng(3)
    tempo = 80 + 20 * (np.repeat(np.arange(20), 40) % 4) + rng.integers(0, 15, 800)
    lines = found(check_leaks.check(NONE, table(tempo_bpm=tempo.astype(np.float32)), built=True))
    assert any(line.startswith("column tempo_bpm: tells the tier: ") for line in lines)


def test_guessing_as_worked_by_hand():
    """Players 0 to 3 of tiers 0, 0, 1, 1 with a value for each tier: all are guessed."""
    codes = player = np.repeat(np.arange(4), 2)
    assert tier_guess(codes // 2, player, player // 2).right == 1
    assert tier_guess(codes, player, player // 2).right < 1  # a value that only its player has
    performance = np.arange(800)
    whose = np.repeat(np.arange(20), 40)
    assert player_guess(whose, whose, performance).right == 1
    assert player_guess(np.zeros(800, int), whose, performance).right < 0.1


def sounds(kit: np.ndarray, apart: float, seed: int = 0) -> pa.Array:
    rng = np.random.default_rng(seed)
    features = rng.normal(0, 1, (800, SOUND))
    features[:, 3] += apart * kit
    return pa.array(features.astype(np.float32).tolist(), pa.list_(pa.float32(), SOUND))


KIT = np.random.default_rng(5).integers(0, 3, 800)
KITS = [("maple", "brass", "field")[each] for each in KIT]


@pytest.mark.parametrize("seed", range(5))
def test_kits_that_sound_the_same_are_found_and_others_are_not(seed: int):
    different = table(kit=KITS, sound=sounds(KIT, 2.0, seed))
    assert found(check_sound_labels.check(NONE, different, built=True)) == []
    same = table(kit=KITS, sound=sounds(KIT, 0.0, seed))
    (line,) = found(check_sound_labels.check(NONE, same, built=True))
    assert line.startswith("column kit: its 3 values sound the same: ")


def test_few_clips_of_a_kit_are_not_judged():
    few = table(kit=KITS, sound=sounds(KIT, 0.0)).slice(0, 100)
    assert check_sound_labels.check(NONE, few, built=True).examined == 0


def test_a_silent_file_is_heard_as_what_it_is():
    """Descriptions of sounds are finite, whatever the sound."""
    for samples in (np.zeros(10, np.int16), np.zeros(44_100, np.int16), np.ones(2000, np.int16)):
        described = Sounded(decode(flac(samples, 44_100)), -20.0).spectrum
        assert described.shape == (SOUND,)
        assert np.isfinite(described).all()


def recordings(formats: tuple[str, ...]) -> pa.Table:
    """Return 400 recordings of two genres and two moods; each genre came in one of the formats."""
    rng = np.random.default_rng(4)
    genre = rng.integers(0, 2, 400)
    paths = [f"{number}.{formats[each % len(formats)]}" for number, each in enumerate(genre)]
    moods = pa.array(rng.choice(["calm", "wild"], 400).tolist()).dictionary_encode().indices
    columns = {"class genre": genre, "class mood": moods, "source_path": paths}
    return pa.table(columns | {"duration_sec": rng.uniform(1, 9, 400).astype(np.float32)})


def test_a_format_that_goes_with_a_class_of_recordings_is_found():
    """Unless it goes with what is kept together, so that nobody can learn it."""
    (wrong,) = found(check_leaks.check(NONE, recordings(("wav", "MP3")), built=False))
    assert wrong.startswith("column source_path: tells the genre: 100% guessed from it alone, 5")
    assert found(check_leaks.check(NONE, recordings(("wav",)), built=False)) == []
    kept = pa.array(["one band"] * 400)
    together = recordings(("wav", "MP3")).append_column("kept together", kept)
    assert found(check_leaks.check(NONE, together, built=False)) == []
