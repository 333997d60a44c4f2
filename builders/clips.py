"""One clip of a plan: its performance, its recording, its row."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sousa.builders import encoding, labels, midi, soundfont, stage, synth
from sousa.builders.keys import generator
from sousa.builders.kits import KITS
from sousa.builders.performance import Performance, perform
from sousa.builders.plan import ClipKey, Plan, kit_name, performance_names
from sousa.builders.players import Player
from sousa.builders.recording import Recording
from sousa.builders.rudiments import Rudiment
from sousa.builders.schema import (
    CONFIG_RATES,
    PREPARED_RATE,
    SAMPLE_RATE,
    SKILL_TIERS,
    SKILL_TIERS_BINARY,
    exact_column,
)

MUSIC_SEC: Final = 4.0
"""Length that the cycles of a rudiment are counted to fill."""

TAIL_SEC: Final = 0.6
"""Silence after the last onset: the time in which all but the longest halls fall by 20 dB."""

STEP_SEC: Final = 0.01
"""Clips last whole hundredths, so that they have whole numbers of samples at both rates."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Take:
    """A performance and what it was asked to be."""

    key: ClipKey
    player: Player
    tempo_bpm: int
    performance: Performance

    @property
    def rudiment(self) -> Rudiment:
        """The rudiment that is played."""
        return self.key.rudiment

    @property
    def num_steps(self) -> int:
        """Length of the clip in hundredths of a second."""
        last_sec = self.performance.strokes.actual_time_ms[-1] / 1000
        return int(np.ceil((last_sec + TAIL_SEC) / STEP_SEC))


def take(plan: Plan, key: ClipKey) -> Take:
    """Play one clip of a plan."""
    player, tempo_bpm = plan.player(key.player), plan.tempo_bpm(key)
    cycle_sec = key.rudiment.beats * 60 / tempo_bpm
    num_cycles = max(1, round(MUSIC_SEC / cycle_sec))
    rng = generator(plan.seed, "performance", *performance_names(key))
    return Take(key, player, tempo_bpm, perform(key.rudiment, player, tempo_bpm, num_cycles, rng))


def row(plan: Plan, take: Take, configs: Collection[str]) -> Row:
    """Return all columns of a clip by name.

    Audio stands under the name of its config, `audio` or `audio_16k`, and only if that config is
    asked for. Everything else is the same either way.
    """
    kit, preset = plan.recording(take.key)
    rng = generator(plan.seed, "audio", *performance_names(take.key), take.key.variant)
    recording = stage.draw(stage.PRESETS[preset], rng)
    cells: Row = _metadata(take, kit_name(kit), preset) | recording.columns()
    cells |= dict(_labels(plan, take)) | _events(plan, take)
    if not CONFIG_RATES.keys().isdisjoint(configs):
        cells |= _audio(take, kit, recording, rng, configs)
    return cells


def _metadata(take: Take, kit: str, preset: str) -> Row:
    player, performance = take.player, take.performance
    group = f"{player.profile_id}_{take.rudiment.slug}_{take.tempo_bpm}"
    number = f"{player.skill_tier[:3]}{take.key.player:03d}"
    sound = f"{_plain(kit)}_{_plain(preset)}"
    tier = SKILL_TIERS.index(player.skill_tier)
    return {
        "sample_id": f"{number}_{take.rudiment.slug}_{take.tempo_bpm}bpm_{sound}",
        "profile_id": player.profile_id,
        "augmentation_group_id": group,
        "rudiment_slug": take.rudiment.slug,
        "skill_tier": player.skill_tier,
        "skill_tier_binary": SKILL_TIERS_BINARY[tier // 2],
        "dominant_hand": player.dominant_hand,
        "tempo_bpm": take.tempo_bpm,
        "duration_sec": take.num_steps * STEP_SEC,
        "num_cycles": performance.num_cycles,
        "num_strokes": len(performance.strokes),
        "num_measures": performance.num_measures,
        "num_mistakes": len(performance.mistakes),
        "kit": kit,
        "augmentation_preset": preset,
    }


def _plain(name: str) -> str:
    """Return a name as ids hold it: letters and digits, for `_` parts them."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _labels(plan: Plan, take: Take) -> Mapping[str, float | None]:
    return labels.score(
        take.performance.strokes,
        take.rudiment,
        take.tempo_bpm,
        plan.score_set,
        skill_tier=take.player.skill_tier,
    )


def _events(plan: Plan, take: Take) -> Row:
    performance = take.performance
    strokes, mistakes = performance.strokes, performance.mistakes
    file = midi.encode(
        midi.Notes(
            tick=midi.ticks(strokes.actual_time_ms, take.tempo_bpm),
            velocity=strokes.actual_velocity.astype(np.int64),
            tempo_bpm=take.tempo_bpm,
            beats_per_measure=take.rudiment.beats_per_measure,
        )
    )
    cell = strokes.columns()
    return {
        "strokes": cell,
        "measures": labels.measures(performance),
        "mistakes": {
            "kind": mistakes.kind,
            "intended_time_ms": mistakes.intended_time_ms,
            "stroke_index": mistakes.stroke_index,
        },
        "midi": file,
        **_tokens(plan, file, cell),
    }


def _tokens(plan: Plan, file: bytes, strokes: Row) -> Row:
    """Return the token columns; a lossy tokenizer's cell is null where it fails."""
    cells: Row = {}
    for column, tokenizer in plan.tokenizers.items():
        if tokenizer.lossy:
            (encoded,) = tokenizer.tokenize([file], [strokes])
            cells |= {column: encoded.ids, exact_column(column).name: encoded.exact}
        else:
            cells[column] = tokenizer.encode(file, strokes)
    return cells


def _audio(
    take: Take,
    kit: str,
    recording: Recording,
    rng: np.random.Generator,
    configs: Collection[str],
) -> Row:
    num_samples = take.num_steps * round(SAMPLE_RATE * STEP_SEC)
    wave = stage.record(dry(take, kit, num_samples, rng), recording, rng)
    samples = encoding.quantise(wave)
    cells: Row = {}
    if "audio" in configs:
        cells["audio"] = encoding.flac(samples, SAMPLE_RATE)
    if "audio_16k" in configs:
        prepared = encoding.resample(samples, SAMPLE_RATE, PREPARED_RATE)
        cells["audio_16k"] = encoding.wav(prepared, PREPARED_RATE)
    return cells


def dry(take: Take, kit: str, num_samples: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the sound of a clip's strokes before it is recorded, float32 at 44.1 kHz."""
    strokes = take.performance.strokes
    if kit in KITS:
        return synth.render(strokes, KITS[kit], num_samples, rng)
    return soundfont.render(strokes, _font(kit), num_samples)


@lru_cache(maxsize=1)
def _font(kit: str) -> soundfont.SoundFont:
    return soundfont.SoundFont(Path(kit.removeprefix("sf2:")))
