"""What a build makes: which clips, in which order, in which shards, under which ids.

A plan is a value. Everything that is in a dataset follows from it, so two equal plans make equal
bytes, whoever renders which shard.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sousa.builders import splits
from sousa.builders.choices import chosen, refusal
from sousa.builders.keys import generator
from sousa.builders.kits import KITS
from sousa.builders.labels import SCORE_SETS
from sousa.builders.players import Player, sample_player
from sousa.builders.rudiments import RUDIMENTS, Rudiment
from sousa.builders.schema import CONFIGS, SPLITS, Column
from sousa.builders.shards import Shard
from sousa.builders.soundfont import SoundFont
from sousa.builders.stage import PRESETS
from sousa.builders.tokens import Tokenizer, parse_tokenizers, token_column_of, token_columns

MOST_ROWS_PER_SHARD: Final = 256
"""Small enough that little work is lost when a build is killed, and shared well among workers."""

LIBRARIES: Final = (
    *("sousa-datasets", "numpy", "scipy", "pyarrow", "soundfile", "soxr", "symusic"),
)
"""Packages whose version may change the bytes of a dataset, our own first."""

SOUNDFONT_LIBRARY: Final = "pyfluidsynth"
"""One more where a SoundFont is played."""

MIDITOK: Final = "miditok"
"""One more where one of its tokenizers is used."""

SOUNDFONT_PREFIX: Final = "sf2:"


@dataclass(frozen=True, slots=True)
class Size:
    """How many clips: players x rudiments x tempos x variants."""

    players: int
    tempos: int
    variants: int


PRESET_SIZES: Final[Mapping[str, Size]] = {
    "tiny": Size(players=12, tempos=1, variants=1),
    "small": Size(players=30, tempos=1, variants=1),
    "medium": Size(players=100, tempos=3, variants=1),
    "full": Size(players=100, tempos=5, variants=5),
}
"""With all 40 rudiments: 480, 1,200, 12,000 and 100,000 clips."""


@dataclass(frozen=True, slots=True)
class ClipKey:
    """Which performance, and which recording of it."""

    player: int
    rudiment: Rudiment
    tempo_index: int
    variant: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All options that decide what is in a dataset.

    Attributes:
        players: How many; 12 or more, unless all are in one split.
        tempos: Tempos at which each player plays each rudiment.
        variants: Recordings of each performance: other kits, rooms and microphones.
        rudiments: Slugs, in PAS order.
        seed: Of all chance.
        configs: Which configs are written. Does not change what is in them.
        tokens: Tokenizers, each a token column; as `tokens.parse_tokenizers` takes them.
        score_set: Formulas of the scores.
        splits: The three splits, or only `train`.
        kit: A kit for all clips, or `sf2:FILE`; None draws one for each.
        soundfont_sha256: Of the SoundFont's content; filled in.
        tokenizers: By token column; filled in, so that the files they came from may change.
    """

    players: int
    tempos: int = 1
    variants: int = 1
    rudiments: tuple[str, ...] = tuple(RUDIMENTS)
    seed: int = 42
    configs: tuple[str, ...] = CONFIGS
    tokens: tuple[str, ...] = ("grid",)
    score_set: str = "v1"
    splits: tuple[str, ...] = SPLITS
    kit: str | None = None
    soundfont_sha256: str | None = None
    tokenizers: Mapping[str, Tokenizer] = field(default_factory=dict, repr=False, hash=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be built, and put what has no order in order."""
        for name in ("players", "tempos", "variants"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name, allowed in _ALLOWED.items():
            object.__setattr__(self, name, chosen(name, getattr(self, name), allowed))
        if self.score_set not in SCORE_SETS:
            raise ValueError(refusal("score-set", self.score_set, SCORE_SETS))
        if self.splits not in (SPLITS, ("train",)):
            got = ",".join(self.splits)
            raise ValueError(f"splits must be {','.join(SPLITS)} or train, got {got!r}")
        if self.splits == SPLITS and self.players < splits.FEWEST_PLAYERS:
            raise ValueError(
                f"three splits need {splits.FEWEST_PLAYERS} players, got {self.players}; "
                "or build one split (--splits train)"
            )
        self._take_tokenizers()
        self._check_kit()
        self._check_tempos_and_variants()

    def _take_tokenizers(self) -> None:
        """Load the tokenizers; worker processes get them with the plan."""
        object.__setattr__(self, "tokenizers", parse_tokenizers(self.tokens))
        specs = {token_column_of(spec): spec for spec in self.tokens}
        object.__setattr__(self, "tokens", tuple(specs[column] for column in self.tokenizers))

    def _check_kit(self) -> None:
        if self.kit is None or self.kit in KITS:
            return
        if not self.kit.startswith(SOUNDFONT_PREFIX):
            raise ValueError(refusal("kit", self.kit, (*KITS, "sf2:FILE")))
        font = Path(self.kit.removeprefix(SOUNDFONT_PREFIX))
        SoundFont(font)  # refuses what could not be rendered, before anything is
        with font.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        object.__setattr__(self, "soundfont_sha256", digest)

    def _check_tempos_and_variants(self) -> None:
        ranges = [RUDIMENTS[slug].tempo_range_bpm for slug in self.rudiments]
        fewest = min(high - low + 1 for low, high in ranges)
        if self.tempos > fewest:
            raise ValueError(f"tempos must be at most {fewest}, got {self.tempos}")
        if self.variants > len(self.recordings):
            most = len(self.recordings)
            raise ValueError(f"variants must be at most {most}, got {self.variants}")

    @cached_property
    def recordings(self) -> tuple[tuple[str, str], ...]:
        """All pairs of kit and recording preset that a clip can have."""
        kits = tuple(KITS) if self.kit is None else (self.kit,)
        return tuple((kit, preset) for kit in kits for preset in PRESETS)

    @property
    def num_clips(self) -> int:
        """Rows of the dataset, over all splits."""
        return self.players * len(self.rudiments) * self.tempos * self.variants

    @property
    def token_columns(self) -> tuple[Column, ...]:
        """The token columns, and those that say which rows a lossy one holds exactly."""
        return token_columns(self.tokenizers)

    def player(self, index: int) -> Player:
        """Return one player; players never depend on how many there are."""
        return _player(self.seed, index)

    def tempo_bpm(self, key: ClipKey) -> int:
        """Return the tempo of a performance: drawn from what the rudiment allows, for anybody."""
        low, high = key.rudiment.tempo_range_bpm
        rng = generator(self.seed, "tempo", key.player, key.rudiment.slug)
        return int(rng.permutation(np.arange(low, high + 1))[key.tempo_index])

    def recording(self, key: ClipKey) -> tuple[str, str]:
        """Return kit and preset of a clip; the variants of a performance all differ."""
        rng = generator(self.seed, "recording", *performance_names(key))
        return self.recordings[int(rng.permutation(len(self.recordings))[key.variant])]

    @cached_property
    def players_of(self) -> Mapping[str, tuple[int, ...]]:
        """Players of each split."""
        if self.splits == ("train",):
            return {"train": tuple(range(self.players))}
        return splits.assign(self.seed, self.players)

    @cached_property
    def shards(self) -> tuple[Shard, ...]:
        """All shards, those of the train split first."""
        clips_each = len(self.rudiments) * self.tempos * self.variants
        found = []
        for split in self.splits:
            rows = len(self.players_of[split]) * clips_each
            count = -(-rows // MOST_ROWS_PER_SHARD)
            bounds = [index * rows // count for index in range(count + 1)]
            found += [
                Shard(split, index, count, bounds[index + 1] - bounds[index])
                for index in range(count)
            ]
        return tuple(found)

    def clips(self, shard: Shard) -> list[ClipKey]:
        """Return the clips of a shard, in stored order."""
        order = self._orders[shard.split]
        begin = shard.index * len(order) // shard.count
        return [self._key(int(number)) for number in order[begin : begin + shard.rows]]

    @cached_property
    def _orders(self) -> dict[str, NDArray[np.int64]]:
        each = len(self.rudiments) * self.tempos * self.variants
        return {
            split: splits.mixed(players, each, generator(self.seed, "order", split))
            for split, players in self.players_of.items()
        }

    def _key(self, number: int) -> ClipKey:
        number, variant = divmod(number, self.variants)
        number, tempo_index = divmod(number, self.tempos)
        player, rudiment = divmod(number, len(self.rudiments))
        return ClipKey(player, RUDIMENTS[self.rudiments[rudiment]], tempo_index, variant)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as the manifest records it: every option and every version."""
        options: dict[str, Any] = {
            each.name: list(value) if isinstance(value, tuple) else value
            for each in fields(self)
            for value in [getattr(self, each.name)]
            if each.name != "tokenizers"
        }
        options["tokens"] = [each.identity for each in self.tokenizers.values()]
        libraries: tuple[str, ...] = LIBRARIES
        if self.kit is not None:
            options["kit"] = kit_name(self.kit)
        if self.soundfont_sha256 is not None:
            libraries += (SOUNDFONT_LIBRARY,)
        if any(tokenizer.lossy for tokenizer in self.tokenizers.values()):
            libraries += (MIDITOK,)
        return options | {"versions": {name: version(name) for name in libraries}}


def make_plan(preset: str, numbers: dict[str, int | None], **options: Any) -> Plan:
    """Return the plan of a preset with some of its numbers changed.

    Args:
        preset: One of `PRESET_SIZES`.
        numbers: `players`, `tempos`, `variants`; None is the preset's.
        options: Further fields of `Plan`.

    Raises:
        ValueError: If there is no such preset, or no such dataset can be built.
    """
    if preset not in PRESET_SIZES:
        raise ValueError(f"preset must be of {', '.join(PRESET_SIZES)}; got {preset!r}")
    size = PRESET_SIZES[preset]
    for name, number in numbers.items():
        options[name] = getattr(size, name) if number is None else number
    return Plan(**options)


def performance_names(key: ClipKey) -> tuple[int, str, int]:
    """Return what names a performance among all: the key of its chance."""
    return key.player, key.rudiment.slug, key.tempo_index


def kit_name(kit: str) -> str:
    """Return how a kit is called in a row: its name, or `sf2:` and that of the SoundFont."""
    if not kit.startswith(SOUNDFONT_PREFIX):
        return kit
    return SOUNDFONT_PREFIX + Path(kit.removeprefix(SOUNDFONT_PREFIX)).stem


@lru_cache(maxsize=4096)
def _player(seed: int, index: int) -> Player:
    return sample_player(seed, index)


_ALLOWED: Final[Mapping[str, tuple[str, ...]]] = {
    "rudiments": tuple(RUDIMENTS),
    "configs": CONFIGS,
}
