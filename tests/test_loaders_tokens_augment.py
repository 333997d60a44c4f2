"""Changed performances: what makes them skilled stays, labels follow, chance is fixed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from symusic import Score
from token_data import build, in_memory, rows_of, table, vocabulary

from sousa.builders.tokens import load_tokenizer
from sousa.loaders import Augmentation, TokenDataset, Vocabulary, create_token_dataloader
from sousa.loaders.token_tempo import at_other_tempos
from sousa.loaders.token_values import Ragged

STEP = 40  # ticks of the grid


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("built") / "dataset")


@pytest.fixture(scope="module")
def rows(folder: Path) -> datasets.Dataset:
    return datasets.load_dataset("parquet", data_dir=str(folder / "midi_only"), split="train")


def known(folder: Path, column: str = "tokens") -> Vocabulary:
    return Vocabulary.read(folder / "tokenizers" / f"{column}.json")


def notes(folder: Path, ids: Any, column: str = "tokens") -> dict[str, Any]:
    """The performance as MIDI has it: the tokenizer's own decoding is the oracle."""
    tokenizer = load_tokenizer(folder / "tokenizers" / f"{column}.json")
    score = Score.from_midi(tokenizer.decode([int(id_) for id_ in ids]))
    found = score.tracks[0].notes.numpy()
    tick = found["time"].astype(np.int64)
    tempo = 60e6 / score.tempos[0].mspq
    step = (tick + STEP // 2) // STEP
    return {
        "tempo": tempo,
        "step": step,
        "off_ms": (tick - STEP * step) * 60_000 / tempo / 480,
        "velocity": found["velocity"].astype(np.int64),
        "pitch": found["pitch"].astype(np.int64),
    }


def all_rows(rows: datasets.Dataset, column: str = "tokens") -> Ragged:
    return rows_of(rows[:][column])


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.07])
def test_a_new_tempo_keeps_deviations_in_milliseconds(
    folder: Path, rows: datasets.Dataset, factor: float
) -> None:
    """Grid + deviation, each note: the grid's ticks stay, what is off it stays in milliseconds."""
    whole = all_rows(rows)
    made = at_other_tempos(whole, known(folder), np.full(whole.rows, factor))
    moved = 0
    for at in range(whole.rows):
        before, after = notes(folder, whole.row(at)), notes(folder, made.row(at))
        if before["tempo"] == after["tempo"]:
            assert made.row(at).tolist() == whole.row(at).tolist()
            continue
        moved += 1
        bpm = round(after["tempo"])
        assert bpm == np.clip(round(round(before["tempo"]) * factor), 20, 300)
        grid_ms = before["step"] * STEP * 60_000 / bpm / 480
        wanted = np.sort(grid_ms + before["off_ms"])
        found = after["step"] * STEP * 60_000 / bpm / 480 + after["off_ms"]
        assert np.abs(found - wanted).max() <= 0.5 * 60_000 / bpm / 480 + 0.01  # half a tick
        assert sorted(before["velocity"]) == sorted(after["velocity"])
        assert len(made.row(at)) <= len(whole.row(at))
    assert moved >= 0.8 * whole.rows if factor != 1.0 else moved == 0


def test_rows_with_several_tempos_stay_as_they_are() -> None:
    names = ["PAD", "Bar", "TimeSig_3", "TimeSig_4", "Tempo_90", "Tempo_91", "Tempo_92"]
    names += [f"Position_{at}" for at in range(48)] + ["Drum_38"]
    names += [f"Micro_{off}" for off in range(-20, 20)] + ["Velocity_1"]
    words = vocabulary(names)
    id_of = words.tokens
    plain = ["TimeSig_4", "Tempo_90", "Bar", "Position_4", "Drum_38", "Micro_5", "Velocity_1"]
    several = [*plain, "Tempo_91", "Position_9", "Drum_38", "Micro_0", "Velocity_1"]
    lists = [[id_of[name] for name in each] for each in (plain, several)]
    made = at_other_tempos(rows_of(lists), words, np.array([92 / 90, 92 / 90]))
    assert [names[id_] for id_ in made.row(0)] == [
        *("TimeSig_4", "Tempo_92", "Bar", "Position_4", "Drum_38", "Micro_5", "Velocity_1")
    ]
    assert made.row(1).tolist() == lists[1]


def test_notes_that_pass_each_other_or_a_bar_line_are_written_in_order() -> None:
    """By hand: at twice the tempo 19 ticks become 38, and -20 become -40."""
    names = ["PAD", "Bar", "TimeSig_1", "Tempo_60"]
    names += [f"Tempo_{bpm}" for bpm in range(61, 121)]
    names += [f"Position_{at}" for at in range(12)] + ["Drum_38", "Drum_40"]
    names += [f"Micro_{off}" for off in range(-20, 20)] + ["Velocity_1", "Velocity_2"]
    words = vocabulary(names)
    row = "TimeSig_1 Tempo_60 Bar Position_2 Drum_38 Micro_19 Velocity_1 "
    row += "Position_3 Drum_40 Micro_-20 Velocity_2 Bar Position_0 Drum_38 Micro_-20 Velocity_1 "
    row += "Position_1 Drum_38 Micro_0 Velocity_2"
    lists = [[words.tokens[name] for name in row.split()]]
    made = at_other_tempos(rows_of(lists), words, np.array([2.0]))
    # 2*40+38 = 118 after 3*40-40 = 80, which is position 2; 12*40-40 = 440 is the first bar's.
    assert " ".join(names[id_] for id_ in made.row(0)) == (
        "TimeSig_1 Tempo_120 Bar Position_2 Drum_40 Micro_0 Velocity_2 "
        "Position_3 Drum_38 Micro_-2 Velocity_1 Position_11 Drum_38 Micro_0 Velocity_1 "
        "Bar Position_1 Drum_38 Micro_0 Velocity_2"
    )


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("Position_0 Drum_38 Micro_-5 Velocity_1", "it would begin before 0"),
        ("Position_11 Drum_38 Micro_19 Velocity_1", "it would need a further bar line"),
    ],
)
def test_a_tempo_that_a_row_has_no_room_for_leaves_it(row: str, why: str) -> None:
    names = ["PAD", "Bar", "TimeSig_1", *(f"Tempo_{bpm}" for bpm in range(60, 121))]
    names += [f"Position_{at}" for at in range(12)] + ["Drum_38", "Velocity_1"]
    names += [f"Micro_{off}" for off in range(-20, 20)]
    words = vocabulary(names)
    whole = [words.tokens[name] for name in f"TimeSig_1 Tempo_60 Bar {row}".split()]
    able = [words.tokens[name] for name in ["TimeSig_1", "Tempo_60", "Bar"]]
    able += [words.tokens[name] for name in ["Position_5", "Drum_38", "Micro_0", "Velocity_1"]]
    made = at_other_tempos(rows_of([whole, able]), words, np.array([2.0, 2.0]))
    assert made.row(0).tolist() == whole, why
    assert made.row(1).tolist() == [able[0], words.tokens["Tempo_120"], *able[2:]]


@pytest.mark.parametrize("column", ["tokens", "tokens_ms"])
def test_velocities_move_together(folder: Path, rows: datasets.Dataset, column: str) -> None:
    augment = Augmentation(known(folder, column), velocity=30)
    whole = all_rows(rows, column)
    keys = np.arange(whole.rows, dtype=np.uint64)
    made = augment.changed(whole, keys, 0)
    offsets = set()
    for at in range(whole.rows):
        before = notes(folder, whole.row(at), column)["velocity"]
        after = notes(folder, made.row(at), column)["velocity"]
        (offset,) = set((after - before).tolist())
        assert 1 <= after.min() <= after.max() <= 127
        assert abs(offset) <= 30
        offsets.add(offset)
    assert len(offsets) > 10


def test_pitched_tracks_are_transposed_and_drums_are_not() -> None:
    names = ["PAD", "Bar", "Position_0", "Drum_38", *(f"Pitch_{at}" for at in range(128))]
    words = vocabulary(names)
    pitch = words.tokens["Pitch_0"]
    lists = [[1, 2, 3, 2, pitch + 60, 2, pitch + 64], [1, 2, pitch + 126, 2, pitch + 127]]
    made = Augmentation(words, pitch=5).changed(rows_of(lists), np.arange(2, dtype=np.uint64), 1)
    first, second = made.row(0).tolist(), made.row(1).tolist()
    assert first[:3] == [1, 2, 3]
    assert first[6] - first[4] == 4
    assert second[4] - second[2] == 1
    assert second[4] <= pitch + 127


def test_sticking_is_mirrored(folder: Path, rows: datasets.Dataset) -> None:
    words = known(folder, "tokens_hands")
    left, right = words.tokens["Hand_L"], words.tokens["Hand_R"]
    whole = all_rows(rows, "tokens_hands")
    keys = np.arange(whole.rows, dtype=np.uint64)
    made = Augmentation(words, mirror=1.0).changed(whole, keys, 0)
    hands = {left: right, right: left}
    assert made.values.tolist() == [hands.get(id_, id_) for id_ in whole.values.tolist()]
    assert (made.values != whole.values).any()
    some = Augmentation(words, mirror=0.5).mirrored(keys, 0)
    assert 0.2 < some.mean() < 0.8


def everything(folder: Path, **more: Any) -> Augmentation:
    options = {"velocity": 10, "tempo": (0.9, 1.1), "mirror": 0.5, "seed": 7}
    return Augmentation(known(folder), **(options | more))


@pytest.mark.parametrize("mode", ["truncate", "window", "pack"])
def test_chance_is_a_function_of_seed_epoch_and_row(folder: Path, mode: str) -> None:
    """By index, in batches, streamed, with threads: a row is changed in the same way."""
    most = 64 if mode == "window" else 1024
    options: dict[str, Any] = {"max_seq_len": most, "mode": mode, "cut": "bar"}
    tokens = TokenDataset(folder, augment=everything(folder), **options)
    plain = TokenDataset(folder, **options)

    def epoch(dataset: TokenDataset, number: int, workers: int = 0) -> list[Any]:
        loader = create_token_dataloader(dataset, 4, shuffle=False, num_workers=workers)
        loader.set_epoch(number)
        return [batch["input_ids"].tolist() for batch in loader]

    first = epoch(tokens, 0)
    assert first == epoch(tokens, 0, 2) != epoch(tokens, 1)
    assert first != epoch(plain, 0)
    tokens.set_epoch(1)
    one = [tokens[at]["input_ids"].tolist() for at in range(4)]
    second = create_token_dataloader(tokens, 4, shuffle=False)
    second.set_epoch(1)
    batch = next(iter(second))
    lengths = batch["lengths"].tolist()
    assert one == [
        row[:size] for row, size in zip(batch["input_ids"].tolist(), lengths, strict=True)
    ]
    if mode != "pack":
        streamed = TokenDataset(folder, augment=everything(folder), streaming=True, **options)
        assert epoch(streamed, 0) == first


@pytest.mark.parametrize("mode", ["window", "pack"])
@pytest.mark.parametrize("most", [40, 100])
def test_changed_rows_have_the_pieces_that_they_had(folder: Path, mode: str, most: int) -> None:
    """None is too long, and no token is lost: but for bar lines that nothing follows any more."""
    augment = everything(folder, tempo=(0.6, 1.6))
    options: dict[str, Any] = {"max_seq_len": most, "mode": mode, "cut": "bar", "bos": True}
    plain, changed = (
        TokenDataset(folder, **options),
        TokenDataset(folder, augment=augment, **options),
    )
    pairs = [each.__getitems__(list(range(len(plain)))) for each in (plain, changed)]
    assert max(len(sample["input_ids"]) for sample in pairs[1]) <= most
    bar = known(folder).tokens["Bar"]
    learnt = [
        torch.cat([sample["input_ids"][sample["loss_mask"]] for sample in each]) for each in pairs
    ]
    assert not torch.equal(*learnt)
    assert (learnt[0] != bar).sum() == (learnt[1] != bar).sum()


def test_set_transform_of_datasets_gives_the_same_and_labels_follow(
    folder: Path, rows: datasets.Dataset
) -> None:
    augment = everything(folder, mirror=1.0)
    changed = rows.with_transform(augment)
    ours = TokenDataset(rows, tokenizer=known(folder), augment=augment)
    faster = 0
    for at in range(len(rows)):
        before, after = rows[at], changed[at]
        assert ours[at]["input_ids"].tolist() == after["tokens"]
        was, now = notes(folder, before["tokens"]), notes(folder, after["tokens"])
        ratio = now["tempo"] / was["tempo"]
        faster += ratio > 1.001
        assert after["tempo_bpm"] == pytest.approx(before["tempo_bpm"] * ratio, rel=1e-3)
        assert after["dominant_hand"] == 1 - before["dominant_hand"]
        assert after["weak_hand_index"] == pytest.approx(100 - before["weak_hand_index"])
        old, new = before["strokes"], after["strokes"]
        assert new["hand"] == [1 - hand for hand in old["hand"]]
        assert sorted(new["actual_velocity"]) == sorted(now["velocity"].tolist())
        assert not {"midi", "measures", "mistakes"} & after.keys()
    assert faster > 0
    augment.set_epoch(1)
    assert changed[0]["tokens"] != rows.with_transform(everything(folder, mirror=1.0))[0]["tokens"]


def test_strokes_are_where_the_tokens_say(folder: Path, rows: datasets.Dataset) -> None:
    """Within a tick; near the grid errors stay, and elsewhere they are what came of them."""
    changed = rows.with_transform(everything(folder, tempo=(0.7, 1.4)))
    for at in range(len(rows)):
        before, after = rows[at], changed[at]
        was, now = notes(folder, before["tokens"]), notes(folder, after["tokens"])
        old, new = before["strokes"], after["strokes"]
        onsets = now["step"] * STEP * 125 / now["tempo"] + now["off_ms"]
        tick_ms = 125 / min(now["tempo"], was["tempo"])
        assert np.abs(np.sort(new["actual_time_ms"]) - onsets).max() <= 1.01 * tick_ms
        errors = np.subtract(new["actual_time_ms"], new["intended_time_ms"])
        assert np.allclose(errors, new["timing_error_ms"])
        on_grid = np.abs(np.array(old["intended_time_ms"]) * was["tempo"] / 125 % STEP) < 0.1
        near = on_grid & (np.abs(old["timing_error_ms"]) * was["tempo"] / 125 < STEP / 2 - 1)
        kept = np.subtract(errors, old["timing_error_ms"])
        assert np.abs(kept[near]).max(initial=0) <= tick_ms
        for stroke, parent in enumerate(new["parent_stroke_index"]):
            if new["flam_spacing_ms"][stroke] is not None:
                spacing = new["actual_time_ms"][parent] - new["actual_time_ms"][stroke]
                assert new["flam_spacing_ms"][stroke] == pytest.approx(spacing, abs=1e-3)


def test_the_weak_hand_changes_sides(folder: Path) -> None:
    augment = everything(folder, mirror=1.0)
    plain = TokenDataset(folder, target="weak_hand_index")
    mirrored = TokenDataset(folder, target="weak_hand_index", augment=augment)
    for at in range(5):
        assert torch.isclose(mirrored[at]["label"], 1 - plain[at]["label"], equal_nan=True)


def test_what_tokens_do_not_say_cannot_be_changed(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"tempo= needs Tempo and Micro tokens, .*tokens_ms\.json"):
        Augmentation(known(folder, "tokens_ms"), tempo=(0.9, 1.1))
    with pytest.raises(ValueError, match=r"tempo must be \(slowest, fastest\)"):
        Augmentation(known(folder), tempo=(1.1, 0.9))
    with pytest.raises(ValueError, match="mirror must be a share in"):
        Augmentation(known(folder), mirror=2)
    with pytest.raises(ValueError, match=r"augment= is for the tokens of .*, these are another"):
        TokenDataset(folder, "tokens_ms", augment=everything(folder))
    lists = in_memory(table([[4, 5]])).remove_columns("sample_id")
    with pytest.raises(ValueError, match="the augmentation needs column sample_id"):
        lists.with_transform(everything(folder))[0]


@pytest.mark.parametrize("type_", ["bpe", "unigram", "wordpiece"])
def test_notes_inside_subwords_cannot_be_changed(folder: Path, type_: str) -> None:
    with pytest.raises(ValueError, match=r"has subwords, .* augment the column that"):
        Augmentation(replace(known(folder), type=type_), velocity=5)
