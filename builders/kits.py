"""The drums: a table of physical parameters, from which `synth` makes their sound.

The values lie in the ranges of T. D. Rossing, Science of Percussion Instruments (2000), chapters 3
and 4 (fundamentals of 150-300 Hz, wires of 1-10 kHz), and were set beside recorded snare drums:
their spectra, decays and brightness (`benchmarks/snare_likeness.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """A drum with its sticks and its snare wires.

    Attributes:
        name: As in the `kit` column.
        doc: What it is, for the dataset card.
        fundamental_hz: Lowest mode (0,1) of the batter head, [80, 600].
        coupling: Upper over lower frequency of the modes that batter and snare head share through
            the air between them, [1, 3]; 1 for a single head.
        ring_sec: Time in which the lowest ring mode (1,1) falls by 60 dB, [0.01, 3].
        ring_tilt: Exponent with which higher modes end sooner, [0, 2].
        shell: Modes of shell and rim: frequency in Hz, level in dB re the head, T60 in seconds.
        contact_ms: How long the stick touches the head in the hardest stroke, [0.05, 5]. Shorter
            is brighter.
        click_db: Attack noise of the stick in the hardest stroke, re the head.
        click_hz: Its centre, [400, 18000].
        wires_db: Snare wires in the hardest stroke, re the head.
        wires_hz: Centre of their spectrum, [400, 18000].
        wires_octaves: Its width on either side, to -8.7 dB, [0.2, 5].
        wires_sec: T60 of the wires at their centre, [0.01, 3].
        rattle_db: What goes on rattling after hard strokes, re the wires.
        rattle_sec: Its T60, [0.01, 3].
        glide_cents: How far above its pitch the hardest stroke begins, [0, 1200].

    Raises:
        ValueError: If a value lies outside its range.
    """

    name: str
    doc: str
    fundamental_hz: float
    coupling: float
    ring_sec: float
    ring_tilt: float
    shell: tuple[tuple[float, float, float], ...] = ()
    contact_ms: float
    click_db: float
    click_hz: float
    wires_db: float
    wires_hz: float
    wires_octaves: float
    wires_sec: float
    rattle_db: float
    rattle_sec: float
    glide_cents: float

    def __post_init__(self) -> None:
        """Refuse what no drum is."""
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"kit {self.name}: {name} must be in [{low}, {high}], got {value}")


_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "fundamental_hz": (80, 600),
    "coupling": (1, 3),
    "ring_sec": (0.01, 3),
    "ring_tilt": (0, 2),
    "contact_ms": (0.05, 5),
    "click_db": (-100, 20),
    "click_hz": (400, 18_000),
    "wires_db": (-100, 20),
    "wires_hz": (400, 18_000),
    "wires_octaves": (0.2, 5),
    "wires_sec": (0.01, 3),
    "rattle_db": (-100, 20),
    "rattle_sec": (0.01, 3),
    "glide_cents": (0, 1200),
}

# One line each for head, shell, stick, wires.
# fmt: off
_KITS: Final = (
    Kit(
        name="practice_pad", doc="laminate practice pad with a sizzle",
        fundamental_hz=206, coupling=1.0, ring_sec=0.19, ring_tilt=0.5, glide_cents=0,
        shell=((1150, -16, 0.05), (2300, -22, 0.04)),
        contact_ms=0.9, click_db=-18, click_hz=2800,
        wires_db=-20, wires_hz=5200, wires_octaves=1.5, wires_sec=0.28,
        rattle_db=-50, rattle_sec=0.1,
    ),
    Kit(
        name="marching_aramid", doc="14 x 12 inch marching snare, aramid head, high and dry",
        fundamental_hz=282, coupling=1.40, ring_sec=0.32, ring_tilt=0.7, glide_cents=30,
        shell=((1250, -26, 0.08), (2900, -30, 0.05)),
        contact_ms=0.6, click_db=-17, click_hz=4600,
        wires_db=-20, wires_hz=4200, wires_octaves=1.4, wires_sec=0.29,
        rattle_db=-50, rattle_sec=0.2,
    ),
    Kit(
        name="concert", doc="14 x 5.5 inch maple concert snare, medium tension",
        fundamental_hz=196, coupling=1.72, ring_sec=0.42, ring_tilt=0.55, glide_cents=60,
        shell=((930, -28, 0.22), (1480, -32, 0.15)),
        contact_ms=1.0, click_db=-21, click_hz=3200,
        wires_db=-22, wires_hz=3800, wires_octaves=2.0, wires_sec=0.30,
        rattle_db=-24, rattle_sec=0.45,
    ),
    Kit(
        name="piccolo", doc="13 x 3 inch piccolo snare, bright and short",
        fundamental_hz=246, coupling=1.60, ring_sec=0.32, ring_tilt=0.6, glide_cents=45,
        shell=((1640, -24, 0.20), (2750, -28, 0.14)),
        contact_ms=0.7, click_db=-20, click_hz=4600,
        wires_db=-18, wires_hz=5000, wires_octaves=1.5, wires_sec=0.29,
        rattle_db=-26, rattle_sec=0.35,
    ),
    Kit(
        name="deep_wood", doc="14 x 8 inch wooden snare, tuned low and fat",
        fundamental_hz=152, coupling=1.85, ring_sec=0.50, ring_tilt=0.8, glide_cents=90,
        shell=((610, -26, 0.15), (1020, -30, 0.10)),
        contact_ms=1.4, click_db=-24, click_hz=2200,
        wires_db=-24, wires_hz=2800, wires_octaves=2.0, wires_sec=0.38,
        rattle_db=-24, rattle_sec=0.5,
    ),
    Kit(
        name="steel", doc="14 x 6.5 inch steel snare with a ringing shell",
        fundamental_hz=214, coupling=1.66, ring_sec=0.62, ring_tilt=0.3, glide_cents=50,
        shell=((870, -20, 0.7), (1340, -22, 0.6), (2210, -25, 0.5), (3480, -28, 0.4)),
        contact_ms=0.8, click_db=-19, click_hz=4600,
        wires_db=-22, wires_hz=4600, wires_octaves=1.9, wires_sec=0.28,
        rattle_db=-22, rattle_sec=0.5,
    ),
    Kit(
        name="brass_vintage", doc="14 x 5 inch brass snare with a coated head, warm and long",
        fundamental_hz=172, coupling=1.80, ring_sec=0.55, ring_tilt=0.45, glide_cents=75,
        shell=((720, -24, 0.45), (1130, -26, 0.4)),
        contact_ms=1.15, click_db=-21, click_hz=3000,
        wires_db=-20, wires_hz=3200, wires_octaves=2.1, wires_sec=0.40,
        rattle_db=-20, rattle_sec=0.6,
    ),
    Kit(
        name="field_drum", doc="14 x 14 inch rope-tension field drum with gut snares",
        fundamental_hz=134, coupling=1.95, ring_sec=0.70, ring_tilt=0.7, glide_cents=70,
        shell=((480, -26, 0.20),),
        contact_ms=1.7, click_db=-24, click_hz=1900,
        wires_db=-22, wires_hz=2300, wires_octaves=2.2, wires_sec=0.55,
        rattle_db=-18, rattle_sec=0.8,
    ),
    Kit(
        name="worn_pub", doc="house drum of a pub: loose wires, open head, everything rattles",
        fundamental_hz=226, coupling=1.52, ring_sec=0.85, ring_tilt=0.45, glide_cents=130,
        shell=((1090, -20, 0.5), (1730, -24, 0.4)),
        contact_ms=1.3, click_db=-19, click_hz=2600,
        wires_db=-18, wires_hz=3000, wires_octaves=2.4, wires_sec=0.45,
        rattle_db=-9, rattle_sec=1.0,
    ),
    Kit(
        name="electronic_pad", doc="electronic pad with an analogue-style snare",
        fundamental_hz=162, coupling=1.78, ring_sec=0.31, ring_tilt=0.2, glide_cents=300,
        contact_ms=0.5, click_db=-24, click_hz=6000,
        wires_db=-20, wires_hz=6400, wires_octaves=2.6, wires_sec=0.26,
        rattle_db=-60, rattle_sec=0.1,
    ),
)
# fmt: on

KITS: Final[Mapping[str, Kit]] = MappingProxyType({kit.name: kit for kit in _KITS})
"""Every drum by its name. The first eight letters, underscores left out, tell them apart."""
