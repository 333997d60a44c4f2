"""The people who play: what a drummer of each tier can do, and how abilities go together."""

from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from itertools import combinations
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sousa.builders.keys import generator
from sousa.builders.schema import DOMINANT_HANDS, SKILL_TIERS


class Ability(NamedTuple):
    """How one ability is spread over people.

    Attributes:
        limits: Least and greatest value anybody has.
        means: Mean of each of `schema.SKILL_TIERS`.
        deviations: Standard deviation within each tier.
    """

    limits: tuple[float, float]
    means: tuple[float, float, float, float]
    deviations: tuple[float, float, float, float]


# fmt: off
_TABLE: Final = {
    # limits, and for beginner to professional: means, standard deviations
    "wander_sd_ms":         ((1, 120),   (55, 34, 16, 9.8),        (6, 4, 2, 1.2)),
    "jitter_share":         ((0, .25),   (.18, .13, .075, .055),   (.015, .012, .008, .006)),
    "mean_asynchrony_ms":   ((-110, 20), (-80, -40, -17, -6),      (8, 6, 4, 2)),
    "tempo_drift_share":    ((0, .05),   (.006, .003, .0015, .0006), (.002, .001, .0005, .0003)),
    "subdivision_evenness": ((0, 1),     (.6, .8, .92, .97),       (.12, .07, .03, .01)),
    "loudness":             ((.5, 1.2),  (.85, .9, .95, .98),      (.1, .07, .05, .03)),
    "velocity_spread":      ((0, .5),    (.205, .16, .122, .087),  (.025, .018, .012, .008)),
    "accent_contrast":      ((.1, 1.1),  (.55, .74, .9, .98),      (.1, .07, .04, .02)),
    "accent_accuracy":      ((.5, 1),    (.96, .983, .995, .999),  (.015, .008, .003, .001)),
    "weak_hand_loudness":   ((.5, 1),    (.72, .85, .94, .98),     (.07, .04, .02, .01)),
    "weak_hand_delay_ms":   ((-20, 20),  (8, 4, 1.5, .5),          (4, 2.5, 1.2, .5)),
    "weak_hand_scatter":    ((0, .3),    (.15, .08, .03, .01),     (.05, .03, .015, .005)),
    "flam_spacing_ms":      ((10, 80),   (46, 37, 32, 30),         (10, 6, 3, 1.5)),
    "flam_spread":          ((0, .5),    (.3, .15, .08, .04),      (.08, .04, .02, .01)),
    "diddle_ratio":         ((.6, 1.4),  (.75, .88, .96, .99),     (.1, .05, .02, .01)),
    "diddle_spread":        ((0, .3),    (.15, .09, .05, .02),     (.03, .02, .012, .006)),
    "roll_fade":            ((0, .5),    (.25, .13, .05, .02),     (.07, .04, .02, .01)),
    "buzz_consistency":     ((0, 1),     (.5, .75, .9, .97),       (.12, .07, .03, .01)),
    "fatigue":              ((0, .3),    (.15, .08, .03, .01),     (.04, .03, .015, .005)),
}
# fmt: on

ABILITIES: Final = MappingProxyType({name: Ability(*row) for name, row in _TABLE.items()})
"""Every ability of a player. Where published figures are rare these are judgements; what they add
up to is held to published ranges of timing and velocity by the tests."""

COMFORT_BPM: Final = ((60.0, 100.0), (70.0, 150.0), (60.0, 180.0), (50.0, 220.0))
"""Slowest and fastest comfortable tempo of each tier."""

LEFT_HANDED: Final = 0.1
"""Share of left-handers (Papadatou-Pastou et al. 2020, doi:10.1037/bul0000229: 10.6 %)."""

STRONG, MODERATE, WEAK = 0.7, 0.4, 0.2

CORRELATIONS: Final[tuple[tuple[str, str, float], ...]] = (
    ("wander_sd_ms", "jitter_share", STRONG),
    ("wander_sd_ms", "mean_asynchrony_ms", -MODERATE),
    ("wander_sd_ms", "tempo_drift_share", WEAK),
    ("wander_sd_ms", "subdivision_evenness", -MODERATE),
    ("wander_sd_ms", "accent_accuracy", -MODERATE),
    ("wander_sd_ms", "diddle_ratio", -MODERATE),
    ("wander_sd_ms", "weak_hand_loudness", -MODERATE),
    ("wander_sd_ms", "weak_hand_delay_ms", MODERATE),
    ("jitter_share", "subdivision_evenness", -MODERATE),
    ("jitter_share", "accent_accuracy", -WEAK),
    ("jitter_share", "diddle_ratio", -MODERATE),
    ("jitter_share", "weak_hand_scatter", MODERATE),
    ("subdivision_evenness", "diddle_ratio", STRONG),
    ("velocity_spread", "accent_contrast", -MODERATE),
    ("velocity_spread", "accent_accuracy", -MODERATE),
    ("velocity_spread", "weak_hand_loudness", -WEAK),
    ("velocity_spread", "roll_fade", MODERATE),
    ("accent_contrast", "accent_accuracy", MODERATE),
    ("weak_hand_loudness", "weak_hand_delay_ms", -MODERATE),
    ("weak_hand_loudness", "weak_hand_scatter", -MODERATE),
    ("weak_hand_loudness", "flam_spacing_ms", -WEAK),
    ("weak_hand_loudness", "diddle_ratio", WEAK),
    ("flam_spread", "diddle_spread", MODERATE),
    ("diddle_ratio", "buzz_consistency", MODERATE),
)
"""How abilities go together within a tier; pairs that are not here are unrelated."""

DIGITS: Final = 6
"""Decimals of an ability, so that a player is the same whatever linear algebra is installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """One drummer.

    Attributes:
        profile_id: Stable name, such as `beg000-1b2c3d4e`.
        skill_tier: One of `schema.SKILL_TIERS`.
        dominant_hand: The stronger hand. The sticking is the sheet's for everybody.
        comfort_bpm: Slowest and fastest comfortable tempo.
        wander_sd_ms: Spread of the slow wandering around the beat.
        jitter_share: Spread of single strokes, as a share of the gap between strokes.
        mean_asynchrony_ms: Where strokes lie relative to the beat; negative is early.
        tempo_drift_share: How far the tempo runs off, as a share of the elapsed time.
        subdivision_evenness: 1 places all parts of the beat evenly.
        loudness: Level, relative to the nominal velocities.
        velocity_spread: Spread of the velocities of like strokes, as a share.
        accent_contrast: 1 tells accents, taps and graces apart as written, 0 not at all.
        accent_accuracy: Share of the accents that are played as accents.
        weak_hand_loudness: Velocity of the weak hand, relative to the other.
        weak_hand_delay_ms: How much later the weak hand strikes.
        weak_hand_scatter: How much wider the weak hand scatters, as a share.
        flam_spacing_ms: Lead of a grace, where there is room.
        flam_spread: Spread of that lead, as a share.
        diddle_ratio: Gap between the strokes of a diddle, relative to the notated one.
        diddle_spread: Spread of that ratio.
        roll_fade: Share of the velocity that is lost over a roll.
        buzz_consistency: 1 gives every buzz the same even bounces.
        fatigue: How much looser and softer the playing gets in ten seconds, as a share.
    """

    profile_id: str
    skill_tier: str
    dominant_hand: Literal["right", "left"]
    comfort_bpm: tuple[float, float]
    wander_sd_ms: float
    jitter_share: float
    mean_asynchrony_ms: float
    tempo_drift_share: float
    subdivision_evenness: float
    loudness: float
    velocity_spread: float
    accent_contrast: float
    accent_accuracy: float
    weak_hand_loudness: float
    weak_hand_delay_ms: float
    weak_hand_scatter: float
    flam_spacing_ms: float
    flam_spread: float
    diddle_ratio: float
    diddle_spread: float
    roll_fade: float
    buzz_consistency: float
    fatigue: float

    def __post_init__(self) -> None:
        """Refuse a player who cannot exist."""
        if self.skill_tier not in SKILL_TIERS:
            raise ValueError(f"skill_tier must be one of {SKILL_TIERS}, got {self.skill_tier!r}")
        if self.dominant_hand not in DOMINANT_HANDS:
            raise ValueError(
                f"dominant_hand must be one of {DOMINANT_HANDS}, got {self.dominant_hand!r}"
            )
        slowest, fastest = self.comfort_bpm
        if not 0 < slowest <= fastest:
            raise ValueError(f"comfort_bpm must rise from above 0, got {self.comfort_bpm}")
        for name, ability in ABILITIES.items():
            low, high = ability.limits
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} must be in [{low}, {high}], got {value}")

    def strain(self, tempo_bpm: float) -> float:
        """Return by how many BPM a tempo lies outside the comfortable ones; 0 inside."""
        slowest, fastest = self.comfort_bpm
        return max(slowest - tempo_bpm, tempo_bpm - fastest, 0.0)


def sample_player(seed: int, index: int) -> Player:
    """Return player `index` of a dataset; tiers take turns.

    A player depends on the seed and on the index alone: adding players changes nobody.

    Args:
        seed: Of the whole dataset.
        index: From 0.

    Raises:
        ValueError: If the index is negative.

    Examples:
        >>> sample_player(42, 3).skill_tier
        'professional'
    """
    if index < 0:
        raise ValueError(f"index of a player must be at least 0, got {index}")
    rng = generator(seed, "player", index)
    tier = index % len(SKILL_TIERS)
    mean = np.array([ability.means[tier] for ability in ABILITIES.values()])
    deviation = np.array([ability.deviations[tier] for ability in ABILITIES.values()])
    low, high = np.array([ability.limits for ability in ABILITIES.values()]).T
    draw = mean + deviation * (_mixing() @ rng.standard_normal(len(ABILITIES)))
    values = np.round(np.clip(draw, low, high), DIGITS).tolist()
    digest = blake2b(repr((seed, index)).encode(), digest_size=4).hexdigest()
    return Player(
        profile_id=f"{SKILL_TIERS[tier][:3]}{index:03d}-{digest}",
        skill_tier=SKILL_TIERS[tier],
        dominant_hand="left" if rng.random() < LEFT_HANDED else "right",
        comfort_bpm=COMFORT_BPM[tier],
        **dict(zip(ABILITIES, values, strict=True)),
    )


def correlation() -> NDArray[np.float64]:
    """Return the correlations of the abilities, shape `(abilities, abilities)`, as sampled.

    Correlations that people name pair by pair need not fit together. The nearest matrix that does
    is taken: negative eigenvalues become 0, and the diagonal is scaled back to 1 (Rebonato and
    Jaeckel 1999, "The most general methodology to create a valid correlation matrix").
    """
    mixing = _mixing()
    return mixing @ mixing.T


@cache
def _mixing() -> NDArray[np.float64]:
    """Return the matrix that turns independent normal draws into correlated ones."""
    names = list(ABILITIES)
    named = {frozenset((a, b)): value for a, b, value in CORRELATIONS}
    matrix = np.eye(len(names))
    for a, b in combinations(range(len(names)), 2):
        matrix[a, b] = matrix[b, a] = named.get(frozenset((names[a], names[b])), 0.0)
    sizes, axes = np.linalg.eigh(matrix)
    # The symmetric root does not depend on the signs of the axes, which libraries choose freely.
    root = axes * np.sqrt(np.maximum(sizes, 0.0)) @ axes.T
    scaled: NDArray[np.float64] = root / np.linalg.norm(root, axis=1, keepdims=True)
    return scaled
