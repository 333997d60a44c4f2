"""Does a classifier that knows only recorded drums call our strokes a snare drum?

    python benchmarks/snare_likeness.py [FONT.sf2 ...]

Trains on the drums of General MIDI SoundFonts (recordings of kicks, snares, side sticks, claps,
toms, hats and cymbals) and says, for each of our kits and velocities, how many strokes it calls a
snare drum. How far the classifier itself is to be trusted stands first: each font's drums, called
by a classifier that has heard only the other fonts (Debian: `fluid-soundfont-gm`,
`timgm6mb-soundfont`).

The classifier sees the shape of a sound, never its level: energy in 20 bands by 6 stretches of
time, in dB; shrunk linear discriminant analysis (Friedman 1989, doi:10.2307/2289860).
"""

import argparse
import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sousa.builders import soundfont, synth
from sousa.builders.keys import generator
from sousa.builders.kits import KITS
from sousa.builders.schema import HANDS, SAMPLE_RATE

FONTS = [Path("/usr/share/sounds/sf2") / f"{name}.sf2" for name in ("FluidR3_GM", "TimGM6mb")]
KEYS = {
    "kick": (35, 36),
    "snare": (38, 40),
    "side stick": (37,),
    "clap": (39,),
    "tom": (41, 43, 45, 47, 48, 50),
    "hat": (42, 44, 46),
    "cymbal": (49, 51, 52, 53, 55, 57, 59),
}
CLASSES = tuple(KEYS)
PLAYED = (30, 60, 90, 120)  # velocities
PROGRAMS = (0, 1, 2, 3, 8, 16, 17, 18, 32, 48)  # recorded kits struck with sticks or mallets
STROKES = 50

EDGES_HZ = np.geomspace(60, 16_000, 21)
EDGES_SEC = (0.0, 0.01, 0.03, 0.07, 0.15, 0.3, 0.5)
FLOOR_DB = -60.0
SHRINKAGE = 0.3


def features(sound: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return energy per stretch of time and band in dB re all of it, `(120,)`."""
    energies = []
    for begin, end in itertools.pairwise(EDGES_SEC):
        part = sound[int(begin * SAMPLE_RATE) : int(end * SAMPLE_RATE)].astype(np.float64)
        count = int(0.25 * SAMPLE_RATE)
        power = np.abs(np.fft.rfft(part, count)) ** 2 if len(part) else np.zeros(count // 2 + 1)
        hz = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
        energies.append(np.histogram(hz, EDGES_HZ, weights=power)[0])
    energy = np.array(energies)
    decibel = 10 * np.log10(energy / energy.sum() + 10 ** (FLOOR_DB / 10))
    return decibel.ravel()


class Classifier:
    """Linear discriminant analysis; every class as likely as any other."""

    def __init__(self, sounds: NDArray[np.float64], classes: NDArray[np.int64]) -> None:
        present = np.unique(classes)
        self.names = present
        self.means = np.array([sounds[classes == c].mean(axis=0) for c in present])
        within = np.mean([np.cov(sounds[classes == c].T) for c in present], axis=0)
        target = np.trace(within) / len(within) * np.eye(len(within))
        precision = np.linalg.inv((1 - SHRINKAGE) * within + SHRINKAGE * target)
        self.weights = self.means @ precision
        self.bias = -0.5 * np.sum(self.weights * self.means, axis=1)

    def __call__(self, sounds: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the class of each sound."""
        return self.names[np.argmax(sounds @ self.weights.T + self.bias, axis=1)]


def recordings(font: Path) -> Iterator[tuple[NDArray[np.float64], int]]:
    """Yield features and class of every different recording in a font."""
    seen = set()
    for program in set(PROGRAMS) & set(soundfont.drum_kits(font)):
        for label, keys in enumerate(KEYS.values()):
            for key in keys:
                try:
                    drum = soundfont.SoundFont(font, program, key)
                except soundfont.SoundFontError:  # this kit has nothing on this key
                    continue
                for velocity in PLAYED:
                    sound = soundfont.stroke(drum, velocity)
                    loud = sound / (np.abs(sound).max(initial=0) + 1e-9)
                    digest = hashlib.sha256(np.round(loud[:4096] * 50).tobytes()).digest()
                    if len(sound) and digest not in seen:
                        seen.add(digest)
                        yield features(sound), label


def strokes(kit: str, velocity: int) -> NDArray[np.float64]:
    """Return features of single strokes of both hands, `(STROKES, 120)`."""
    rng = generator(0, "likeness", kit, velocity)
    played = [synth.single(velocity, hand=i % len(HANDS)) for i in range(STROKES)]
    return np.array([features(synth.render(s, KITS[kit], SAMPLE_RATE // 2, rng)) for s in played])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fonts", nargs="*", type=Path, default=FONTS)
    fonts = parser.parse_args().fonts
    parts = {font: list(recordings(font)) for font in fonts}
    sounds = {font: np.array([sound for sound, _ in part]) for font, part in parts.items()}
    labels = {font: np.array([label for _, label in part]) for font, part in parts.items()}
    for font in fonts:
        others = [other for other in fonts if other != font]
        if others:
            called = Classifier(
                np.concatenate([sounds[other] for other in others]),
                np.concatenate([labels[other] for other in others]),
            )(sounds[font])
            snare = called[labels[font] == CLASSES.index("snare")] == CLASSES.index("snare")
            right = np.mean(called == labels[font])
            false = np.mean(
                called[labels[font] != CLASSES.index("snare")] == CLASSES.index("snare")
            )
            print(
                f"{font.stem}, unheard: {len(called)} recordings, {right:.0%} right, "
                f"{snare.mean():.0%} of its {len(snare)} snares, {false:.0%} of the others"
            )
    classify = Classifier(
        np.concatenate(list(sounds.values())), np.concatenate(list(labels.values()))
    )
    print(f"\nour strokes called a snare drum\n{'kit':16s}" + "".join(f"{v:>7d}" for v in PLAYED))
    for kit in KITS:
        calls = [classify(strokes(kit, velocity)) for velocity in PLAYED]
        shares = [np.mean(call == CLASSES.index("snare")) for call in calls]
        missed = np.concatenate(calls)
        missed = missed[missed != CLASSES.index("snare")]
        rest = f"   else {CLASSES[np.bincount(missed).argmax()]}" if len(missed) else ""
        print(f"{kit:16s}" + "".join(f"{share:7.0%}" for share in shares) + rest)


if __name__ == "__main__":
    main()
