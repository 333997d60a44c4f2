"""Folders in the existing SOUSA layout, as its generators leave them, in every variant."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from sousa.builders.schema import SKILL_TIERS, STROKE_TYPES

SLUGS = ("multiple_bounce_roll", "flam", "single_paradiddle")
PRESETS = ("gym", "garage")
RATE_HZ = 44_100
TAIL_SEC = 0.5
SCORES = (
    *("timing_accuracy", "timing_consistency", "tempo_stability", "subdivision_evenness"),
    *("velocity_control", "accent_differentiation", "accent_accuracy", "hand_balance"),
    *("weak_hand_index", "flam_quality", "diddle_quality", "roll_sustain", "groove_feel_proxy"),
    *("overall_score", "tier_confidence"),
)
AUGMENTED = ("aug_room_wet_dry", "aug_mic_distance", "aug_compression_ratio", "aug_noise_level_db")


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What a folder may be like; the default is what the generator writes today.

    Attributes:
        players: Of each tier.
        text: Arrow type of strings.
        augmented: Whether samples have the `aug_` columns.
        flat: Whether media lie in no folders of rudiments, and the tables say no paths.
        ids: `path` for tiers, slugs and presets in the id; `ray` for a player's uuid first.
        val: Key of the validation players.
        splits: Whether there is a `splits.json`; None leaves it there without players.
        index: Whether there is an `index.json`.
        audio: Whether there are clips.
        midi: Whether there are MIDI files.
        audio_sec: Length of the clips, without the tail.
        extra: Whether there are columns and tables that nobody knows.
    """

    players: int = 3
    text: pa.DataType = field(default_factory=pa.string)
    augmented: bool = True
    flat: bool = False
    ids: str = "path"
    val: str = "val_profile_ids"
    splits: bool | None = True
    index: bool = True
    audio: bool = True
    midi: bool = True
    audio_sec: float = 0.05
    extra: bool = False


@dataclass(slots=True)
class Source:
    """A folder that was made.

    Attributes:
        root: The folder.
        tables: Its tables, by name.
    """

    root: Path
    tables: dict[str, pa.Table]

    def write(self, name: str, table: pa.Table | None = None) -> None:
        """Write a table, as it is or another one."""
        self.tables[name] = self.tables[name] if table is None else table
        path = self.root / "labels" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(self.tables[name], path, row_group_size=50)

    def change(self, name: str, column: str, row: int, value: Any) -> None:
        """Write a table with another value in one cell."""
        table = self.tables[name]
        values = table[column].to_pylist()
        values[row] = value
        place = table.column_names.index(column)
        self.write(name, table.set_column(place, column, pa.array(values)))

    def file(self, kind: str, row: int) -> Path:
        """Return the file of a sample."""
        path: str = self.tables["samples"][f"{kind}_path"][row].as_py()
        return self.root / path

    def ids(self) -> list[str]:
        """Return the sample ids in stored order."""
        found: list[str] = self.tables["samples"]["sample_id"].to_pylist()
        return found


def sound(row: int, seconds: float) -> np.ndarray[Any, Any]:
    """Return a clip: stereo, its channels differ, in steps of 24 bits."""
    time = np.arange(round(seconds * RATE_HZ))
    left = 0.6 * np.sin((0.02 + 0.001 * row) * time) * np.exp(-time / 2000)
    wave = np.stack([left, 0.3 * left + 0.01], axis=1)
    steps: np.ndarray[Any, Any] = np.rint(wave * 2**23)
    return steps / 2**23


def snare_file(ticks: list[int], velocities: list[int], channel: int = 0) -> bytes:
    """Return a MIDI file as the generator writes it: one track, only a tempo, running status."""
    events = b"\x00\xff\x51\x03\x07\xa1\x20"
    last, status = 0, b""
    for tick, velocity in zip(ticks, velocities, strict=True):
        wait = tick - last
        head = bytes([0x80 | wait >> 7, wait & 0x7F]) if wait > 0x7F else bytes([wait])
        now = bytes([0x90 | channel])
        events += head + (b"" if now == status else now) + bytes([38, velocity])
        events += bytes([1, 38, 0])  # with velocity 0 the note ends
        last, status = tick + 1, now
    events += b"\x00\xff\x2f\x00"
    head = b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x01\xe0MTrk"
    return head + len(events).to_bytes(4, "big") + events


def make(root: Path, variant: Variant | None = None) -> Source:
    """Make a folder: each player plays each rudiment once, recorded twice."""
    what = variant or Variant()
    rows: dict[str, list[dict[str, Any]]] = {n: [] for n in ("samples", "exercises")}
    rows |= {"measures": [], "strokes": []}
    players = [f"player-{n:04d}-{SKILL_TIERS[n % 4][:3]}" for n in range(4 * what.players)]
    for number, player in enumerate(players):
        for place, slug in enumerate(SLUGS):
            _perform(what, rows, (number, player), slug, 60 + 7 * number + place)
    tables = {name: _table(what.text, cells) for name, cells in rows.items()}
    source = Source(root, tables)
    for name in tables:
        source.write(name)
    _write_media(what, source)
    if what.splits is not False:
        named = players if what.splits else []
        _write_splits(root, what.val, named, what.players)
    if what.index:
        config = {"audio_format": "flac", "sample_rate": RATE_HZ}
        content = {"num_samples": len(source.ids()), "sample_ids": source.ids(), "config": config}
        (root / "index.json").write_text(json.dumps(content))
    if what.extra:
        pq.write_table(pa.table({"mood": ["good"]}), root / "labels" / "moods.parquet")
    return source


def _perform(
    what: Variant,
    rows: dict[str, list[dict[str, Any]]],
    who: tuple[int, str],
    slug: str,
    tempo: int,
) -> None:
    number, player = who
    rng = np.random.default_rng([number, SLUGS.index(slug)])
    tier = SKILL_TIERS[number % 4]
    strokes = _strokes(slug, rng)
    for variant, preset in enumerate(PRESETS):
        sample_id = f"{tier[:3]}{number:03d}_{slug}_{tempo}bpm_fluidr3g_{preset}"
        if what.ids == "ray":
            sample_id = f"{player}_{slug}_{tempo}bpm_{variant}"
        folder = "" if what.flat else f"{slug}/"
        has_midi = what.midi and variant == 0 and not what.flat
        sample = {
            "sample_id": sample_id,
            "profile_id": player,
            "rudiment_slug": slug,
            "tempo_bpm": tempo,
            "duration_sec": what.audio_sec,
            "num_cycles": 4,
            "skill_tier": tier,
            "skill_tier_binary": "novice" if number % 4 < 2 else "skilled",
            "dominant_hand": "left" if number == 1 else "right",
            "midi_path": f"midi/{folder}{sample_id}.mid" if has_midi else None,
            "audio_path": f"audio/{folder}{sample_id}.flac" if what.audio and folder else None,
            "num_strokes": len(strokes),
            "num_measures": 2,
            "soundfont": "FluidR3_GM",
            "augmentation_preset": preset,
            "augmentation_group_id": f"{player[:11]}_{slug}_{tempo}",
        }
        if what.augmented:
            sample |= {"aug_soundfont": "FluidR3_GM", "aug_room_type": "gym", "aug_mic_type": None}
            sample |= dict(zip(AUGMENTED, (0.35, 2.0, None, -40.25), strict=True))
            sample |= {"aug_bit_depth": None, "aug_sample_rate": None}
        if what.extra:
            sample["mood"] = "good"
        rows["samples"].append(sample)
        scores: dict[str, Any] = {name: float(rng.uniform(0, 100)) for name in SCORES}
        scores |= {"groove_feel_proxy": float(rng.random()), "tier_confidence": float(rng.random())}
        for name in ("flam_quality", "diddle_quality", "roll_sustain"):
            scores[name] = scores[name] if name[:4] == slug[:4] else None
        rows["exercises"].append(scores | {"sample_id": sample_id})
        rows["measures"] += [m | {"sample_id": sample_id} for m in _measures(strokes)]
        rows["strokes"] += [stroke | {"sample_id": sample_id} for stroke in strokes]


def _strokes(slug: str, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return strokes; of a buzz roll the bounces follow their primary, but not in `index`."""
    buzz = slug == "multiple_bounce_roll"
    found = []
    for place in range(6):
        intended = 80.0 * place - (25.0 if place == 0 and slug == "flam" else 0.0)
        actual = intended + float(rng.normal(0, 9)) - (20.0 if place == 0 else 0.0)
        is_bounce = buzz and place % 2 == 1
        velocity = int(rng.integers(20, 120))
        grace = (place == 0 and slug == "flam") or is_bounce
        types = "buzz" if buzz else "grace" if grace else STROKE_TYPES[place % 2]
        found.append(
            {
                "index": 3 + place // 2 if is_bounce else place // 2 if buzz else place,
                "hand": "LR"[place % 2],
                "stroke_type": types,
                "intended_time_ms": intended,
                "actual_time_ms": actual,
                "timing_error_ms": actual - intended,
                "intended_velocity": 65,
                "actual_velocity": velocity,
                "velocity_error": velocity - 65,
                "is_grace_note": grace,
                "is_accent": types == "accent",
                "diddle_position": float(1 + place % 2) if slug.endswith("diddle") else None,
                "flam_spacing_ms": 25.5 if grace else None,
                "parent_stroke_index": float(place // 2) if is_bounce else None,
                "buzz_count": 2.0 if buzz and not is_bounce else None,
            }
        )
    return found


def _measures(strokes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for index in range(2):
        part = strokes[3 * index : 3 * index + 3]
        errors = [stroke["timing_error_ms"] for stroke in part]
        velocities = [stroke["actual_velocity"] for stroke in part]
        found.append(
            {
                "index": index,
                "stroke_start": 3 * index,
                "stroke_end": 3 * index + 3,
                "timing_mean_error_ms": float(np.mean(errors)),
                "timing_std_ms": float(np.std(errors)),
                "timing_max_error_ms": float(np.max(np.abs(errors))),
                "velocity_mean": float(np.mean(velocities)),
                "velocity_std": float(np.std(velocities)),
                "velocity_consistency": float(1 - np.std(velocities) / np.mean(velocities)),
                "lr_velocity_ratio": 0.9 if index else None,
                "lr_timing_diff_ms": -1.25 if index else float("nan"),
            }
        )
    return found


def _table(text: pa.DataType, rows: list[dict[str, Any]]) -> pa.Table:
    """Return rows as pandas writes them: columns of nulls have no type."""
    columns = {}
    for column in rows[0]:
        values = [row[column] for row in rows]
        if all(value is None for value in values):
            columns[column] = pa.nulls(len(rows))
        elif isinstance(next(v for v in values if v is not None), str):
            columns[column] = pa.array(values, text)
        else:
            columns[column] = pa.array(values)
    return pa.table(columns)


def _write_media(what: Variant, source: Source) -> None:
    samples = source.tables["samples"].to_pylist()
    strokes: dict[str, list[dict[str, Any]]] = {}
    for stroke in source.tables["strokes"].to_pylist():
        strokes.setdefault(stroke["sample_id"], []).append(stroke)
    for row, sample in enumerate(samples):
        folder = "" if what.flat else f"{sample['rudiment_slug']}/"
        if what.audio:
            path = source.root / f"audio/{folder}{sample['sample_id']}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            wave = sound(row, what.audio_sec + TAIL_SEC)
            soundfile.write(path, wave, RATE_HZ, subtype="PCM_24")
        if what.midi and row % len(PRESETS) == 0:
            played = sorted(strokes[sample["sample_id"]], key=lambda s: s["actual_time_ms"])
            ticks = [max(0, round(s["actual_time_ms"] * 0.96)) for s in played]
            ticks = [tick + 2 * place for place, tick in enumerate(ticks)]
            path = source.root / f"midi/{folder}{sample['sample_id']}.mid"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(snare_file(ticks, [s["actual_velocity"] for s in played]))


def _write_splits(root: Path, val: str, players: list[str], each: int) -> None:
    """Write `splits.json`: of each tier the last player but one is in validation, the last in test,
    as far as there are three."""
    tiers = {player: number // 4 for number, player in enumerate(players)}
    test = [p for p in players if each >= 3 and tiers[p] == each - 1]
    validation = [p for p in players if each >= 3 and tiers[p] == each - 2]
    train = [p for p in players if p not in test and p not in validation]
    ids = {"train_profile_ids": train, val: validation, "test_profile_ids": test}
    (root / "splits.json").write_text(json.dumps(ids | {"stats": {"total_profiles": len(players)}}))
