"""The contract between building and loading: labels, scores, columns, configs, splits.

Plain data, so that every module can import it: Arrow schemas, cards and label maps derive from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

SCHEMA_VERSION: Final = 1
"""Counts up when a column, a label or the meaning of a value changes."""

SAMPLE_RATE: Final = 44_100
"""Samples per second of config `audio`."""

PREPARED_RATE: Final = 16_000
"""Samples per second of config `audio_16k`."""

TICKS_PER_QUARTER: Final = 480
"""Resolution of the MIDI files."""

# Labels. Ids are positions: append, never reorder.

SKILL_TIERS: Final = ("beginner", "intermediate", "advanced", "professional")
SKILL_TIERS_BINARY: Final = ("novice", "skilled")
DOMINANT_HANDS: Final = ("right", "left")
HANDS: Final = ("L", "R")
STROKE_TYPES: Final = ("tap", "accent", "grace", "diddle", "buzz")
MISTAKES: Final = (
    "missed_stroke",
    "doubled_stroke",
    "wrong_sticking",
    "missed_accent",
    "false_accent",
    "stumble",
    "tempo_collapse",
)
RUDIMENTS: Final = (
    "single_stroke_roll",
    "single_stroke_four",
    "single_stroke_seven",
    "multiple_bounce_roll",
    "triple_stroke_roll",
    "double_stroke_open_roll",
    "five_stroke_roll",
    "six_stroke_roll",
    "seven_stroke_roll",
    "nine_stroke_roll",
    "ten_stroke_roll",
    "eleven_stroke_roll",
    "thirteen_stroke_roll",
    "fifteen_stroke_roll",
    "seventeen_stroke_roll",
    "single_paradiddle",
    "double_paradiddle",
    "triple_paradiddle",
    "paradiddle_diddle",
    "flam",
    "flam_accent",
    "flam_tap",
    "flamacue",
    "flam_paradiddle",
    "single_flammed_mill",
    "flam_paradiddle_diddle",
    "pataflafla",
    "swiss_army_triplet",
    "inverted_flam_tap",
    "flam_drag",
    "drag",
    "single_drag_tap",
    "double_drag_tap",
    "lesson_25",
    "single_dragadiddle",
    "drag_paradiddle_1",
    "drag_paradiddle_2",
    "single_ratamacue",
    "double_ratamacue",
    "triple_ratamacue",
)
"""Slugs of the 40 rudiments, in the order of the Percussive Arts Society's sheet."""

SPLITS: Final = ("train", "validation", "test")

# Types of columns.


@dataclass(frozen=True, slots=True)
class Value:
    """A plain value."""

    dtype: str
    """A dtype of `datasets.Value`: string, binary, bool, int32, uint16, float32, float64."""


@dataclass(frozen=True, slots=True)
class Label:
    """A class, stored as its id."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of any length."""

    item: "Type"


@dataclass(frozen=True, slots=True)
class Struct:
    """Named fields."""

    fields: tuple["Column", ...]


@dataclass(frozen=True, slots=True)
class Audio:
    """An encoded audio file: `struct<bytes, path>`."""

    rate_hz: int


Type = Value | Label | ListOf | Struct | Audio


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a row, or one field of a struct.

    Attributes:
        name: As users see it.
        type: What it holds.
        doc: One line for the dataset card.
        unit: Unit or range of the values; empty where there is none.
        nullable: Whether null means something: "does not apply".
    """

    name: str
    type: Type
    doc: str
    unit: str = ""
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Score:
    """One judgement of a clip.

    Attributes:
        name: Its column.
        best: Value of a perfect performance, 100 or 1; also the upper end of its range.
        doc: The fault that lowers it.
    """

    name: str
    best: int
    doc: str


SCORES: Final = (
    Score("timing_accuracy", 100, "falls when the whole performance lies early or late"),
    Score("timing_consistency", 100, "falls with random scatter of the onsets"),
    Score("tempo_stability", 100, "falls when the tempo drifts"),
    Score("subdivision_evenness", 100, "falls when places within the beat lie early or late"),
    Score("velocity_control", 100, "falls with random scatter of the velocities of like strokes"),
    Score("accent_differentiation", 100, "falls when accents stand out less than intended"),
    Score("accent_accuracy", 100, "falls with accents missed and taps accented"),
    Score("hand_balance", 100, "falls when one hand is louder than the other"),
    Score("weak_hand_index", 100, "50 for balanced hands, 0 a weak left, 100 a weak right"),
    Score("flam_quality", 100, "falls when flams are too tight or too open"),
    Score("drag_quality", 100, "falls when the two graces of drags are misplaced"),
    Score("diddle_quality", 100, "falls when the second stroke of diddles is early or late"),
    Score("buzz_quality", 100, "falls when the bounces of buzz strokes are unevenly spaced"),
    Score("roll_sustain", 100, "falls when a roll fades"),
    Score("groove_feel_proxy", 1, "geometric mean of the timing scores"),
    Score("overall_score", 100, "weighted mean of the scores that apply"),
    Score("tier_confidence", 1, "how clearly the overall score points to one tier"),
)
SCORE_BEST: Final[Mapping[str, int]] = {score.name: score.best for score in SCORES}

STROKE_FIELDS: Final = (
    Column("index", Value("int32"), "position in time order"),
    Column("hand", Label(HANDS), "the hand that played it"),
    Column("stroke_type", Label(STROKE_TYPES), "kind of stroke"),
    Column("intended_time_ms", Value("float64"), "onset as notated", "ms"),
    Column("actual_time_ms", Value("float64"), "onset as played", "ms"),
    Column("timing_error_ms", Value("float64"), "actual minus intended", "ms"),
    Column("intended_velocity", Value("int32"), "as notated", "[1, 127]"),
    Column("actual_velocity", Value("int32"), "as played", "[1, 127]"),
    Column("velocity_error", Value("int32"), "actual minus intended"),
    Column("is_grace_note", Value("bool"), "whether it leads a primary stroke"),
    Column("is_accent", Value("bool"), "whether the notation accents it"),
    Column("diddle_position", Value("int32"), "1 or 2 within a diddle", nullable=True),
    Column("flam_spacing_ms", Value("float64"), "lead of a grace note", "ms", nullable=True),
    Column("parent_stroke_index", Value("int32"), "primary of a grace or bounce", nullable=True),
    Column("buzz_count", Value("int32"), "strokes of a buzz, on its first", nullable=True),
)

MEASURE_FIELDS: Final = (
    Column("index", Value("int32"), "position in the clip"),
    Column("stroke_start", Value("int32"), "first stroke"),
    Column("stroke_end", Value("int32"), "one past the last stroke"),
    Column("timing_mean_error_ms", Value("float32"), "mean timing error", "ms"),
    Column("timing_std_ms", Value("float32"), "spread of the timing errors", "ms"),
    Column("timing_max_error_ms", Value("float32"), "largest absolute timing error", "ms"),
    Column("velocity_mean", Value("float32"), "mean velocity"),
    Column("velocity_std", Value("float32"), "spread of the velocities"),
    Column("velocity_consistency", Value("float32"), "1 - std / mean of the velocities"),
    Column("lr_velocity_ratio", Value("float32"), "mean left / mean right velocity", nullable=True),
    Column("lr_timing_diff_ms", Value("float32"), "mean left - right error", "ms", nullable=True),
)

MISTAKE_FIELDS: Final = (
    Column("kind", Label(MISTAKES), "what went wrong"),
    Column("intended_time_ms", Value("float64"), "where the notation had it", "ms"),
    Column("stroke_index", Value("int32"), "the stroke it made, if any", nullable=True),
)


def lists(fields: tuple[Column, ...]) -> Struct:
    """Return a struct of equally long lists, one for each field; nullable items stay so."""
    return Struct(tuple(replace(field, type=ListOf(field.type)) for field in fields))


METADATA: Final = (
    Column("sample_id", Value("string"), "unique in the dataset, stable over builds"),
    Column("profile_id", Value("string"), "the player"),
    Column("augmentation_group_id", Value("string"), "the performance; variants share it"),
    Column("rudiment_slug", Label(RUDIMENTS), "the rudiment, ids in PAS order"),
    Column("skill_tier", Label(SKILL_TIERS), "the player's tier"),
    Column("skill_tier_binary", Label(SKILL_TIERS_BINARY), "lower or upper two tiers"),
    Column("dominant_hand", Label(DOMINANT_HANDS), "the player's stronger hand"),
    Column("tempo_bpm", Value("float32"), "quarter notes per minute", "1/min"),
    Column("duration_sec", Value("float32"), "length of the clip", "s"),
    Column("num_cycles", Value("int32"), "times the rudiment is played"),
    Column("num_strokes", Value("int32"), "sounding notes"),
    Column("num_measures", Value("int32"), "measures of the time signature"),
    Column("num_mistakes", Value("int32"), "entries of `mistakes`"),
    Column("kit", Value("string"), "the drum"),
    Column("augmentation_preset", Value("string"), "the recording set-up"),
    Column("aug_room_type", Value("string"), "the room", nullable=True),
    Column("aug_room_wet_dry", Value("float32"), "share of the room", "[0, 1]", nullable=True),
    Column("aug_mic_type", Value("string"), "the microphone", nullable=True),
    Column("aug_mic_position", Value("string"), "where it stands", nullable=True),
    Column("aug_mic_distance", Value("float32"), "from the drum", "m", nullable=True),
    Column("aug_preamp", Value("string"), "character of the preamplifier", nullable=True),
    Column("aug_preamp_drive", Value("float32"), "its saturation", "[0, 1]", nullable=True),
    Column("aug_compression_ratio", Value("float32"), "of the compressor", nullable=True),
    Column(
        "aug_compression_threshold_db", Value("float32"), "its threshold", "dBFS", nullable=True
    ),
    Column("aug_noise_type", Value("string"), "colour of the added noise", nullable=True),
    Column("aug_noise_level_db", Value("float32"), "its RMS level", "dBFS", nullable=True),
    Column("aug_low_cut_hz", Value("float32"), "high-pass corner", "Hz", nullable=True),
    Column("aug_high_cut_hz", Value("float32"), "low-pass corner", "Hz", nullable=True),
    Column("aug_bit_depth", Value("int32"), "where reduced", "bit", nullable=True),
    Column("aug_sample_rate", Value("int32"), "where reduced", "Hz", nullable=True),
)
SCORE_COLUMNS: Final = tuple(
    Column(score.name, Value("float32"), score.doc, f"[0, {score.best}]", nullable=True)
    for score in SCORES
)
EVENTS: Final = (
    Column("strokes", lists(STROKE_FIELDS), "every sounding note"),
    Column("measures", lists(MEASURE_FIELDS), "every measure"),
    Column("mistakes", lists(MISTAKE_FIELDS), "every mistake"),
    Column("midi", Value("binary"), "a standard MIDI file of the strokes"),
)


def token_column(name: str, depth: int = 1, *, nullable: bool = False) -> Column:
    """Return the column of one tokenizer's ids; `depth` is 2 for one of several vocabularies."""
    type_: Type = Value("uint16")
    for _ in range(depth):
        type_ = ListOf(type_)
    return Column(name, type_, f"ids of `tokenizers/{name}.json`", nullable=nullable)


def exact_column(name: str) -> Column:
    """Return the column that says which rows of a token column hold all of the MIDI file."""
    return Column(f"{name}_exact", Value("bool"), f"whether `{name}` holds all of `midi`")


CONFIGS: Final = ("audio", "audio_16k", "midi_only", "labels_only")
"""Names of the configs, the default first."""
CONFIG_RATES: Final[Mapping[str, int]] = {"audio": SAMPLE_RATE, "audio_16k": PREPARED_RATE}
"""Sample rates of the configs that hold audio."""


def columns(config: str, tokens: tuple[str | Column, ...] = ("tokens",)) -> tuple[Column, ...]:
    """Return the columns of one config, in stored order.

    Args:
        config: One of `CONFIGS`.
        tokens: The token columns; a name is that of a plain one.

    Raises:
        ValueError: If there is no such config.
    """
    if config not in CONFIGS:
        raise ValueError(f"config must be one of {', '.join(CONFIGS)}, got {config!r}")
    scalars = METADATA + SCORE_COLUMNS
    if config == "labels_only":
        return scalars
    of_tokens = (token_column(each) if isinstance(each, str) else each for each in tokens)
    events = (*scalars, *EVENTS, *of_tokens)
    if config == "midi_only":
        return events
    return (*events, Column("audio", Audio(CONFIG_RATES[config]), "the clip"))
