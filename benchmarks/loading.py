"""How fast clips are loaded, beside other loaders and beside the limits, and in how much memory.

    python benchmarks/loading.py DIR [--only prepared flac order start memory] [--rounds 3]
                                 [--seconds 1] [--rows 12000] [--scratch DIR] [--picture FILE.png]

DIR comes from `sousa build DIR --preset small --configs audio,audio_16k,labels_only`. Everybody
loads its `train`: shuffled batches of 32 clips, float32 at 16 kHz, padded to the longest. All take
turns, for a second or so each round, in their stride; figures are medians over rounds, ratios
are taken within a round. Everybody has the number of workers with which it is fastest. The data
lie in the page cache.

`prepared` is `audio_16k`, `flac` is `audio`; `order` compares orders, `start` is the wait for the
first batch, `memory` that of one pass over a stream. Longer data, and forms for other loaders, are
written to a temporary folder, or to `--scratch` to be used again: 3.5 GB. Peers that are not
installed are named and left out. On a machine with more cores begin with `taskset -c 0,1`.
"""

import argparse
import os
import platform
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from loading_data import SUFFIX, Clips, files_of, pcm_of, repeated, shards, unpacked
from loading_limits import conversion, decoding
from loading_memory import peak_private_mb
from loading_ours import (
    BATCH_SIZE,
    kernel,
    ours,
    ours_at_first,
    seconds_to_start,
    state_late,
    time_spent,
)
from loading_peers import REFERENCE, peers, reference
from loading_report import NORMALISED, Goal, Standing, print_goals, print_standing, save_picture
from loading_rounds import Entrant, at_their_best, take_turns

PEER_FILES = 4  # of the long folder: more than a peer reads in its turn
KINDS = {"map-style": False, "streaming": True}
FIRST = "first epoch"


@dataclass(frozen=True, slots=True)
class Bench:
    """What to measure on, and how long.

    Attributes:
        folder: As built.
        scratch: Where longer data and other forms of it lie.
        rows: Of the long folder.
        rounds: Turns of each entrant.
        seconds: Of a turn on prepared audio; one on FLAC is half as long again.
    """

    folder: Path
    scratch: Path
    rows: int
    rounds: int
    seconds: float

    def long(self) -> Path:
        """Return a folder with as many rows as asked for."""
        return repeated(self.folder, self.scratch, self.rows)

    def clips(self, config: str) -> Clips:
        """Return the clips of a config as other loaders read them."""
        of_whom = self.long() if config == "audio_16k" else self.folder
        files = shards(of_whom, config)[:PEER_FILES]
        return unpacked(files, self.scratch / f"{config}_{of_whom.name}", SUFFIX[config])


@dataclass(frozen=True, slots=True)
class Findings:
    """What a section found.

    Attributes:
        goals: What had to be reached, and what was.
        standing: The rates of everybody, where they were compared.
    """

    goals: list[Goal]
    standing: Standing | None = None


def compare(bench: Bench, entrants: list[Entrant], seconds: float) -> Standing:
    best = at_their_best(entrants, seconds / 4)
    return Standing(take_turns(entrants, best, bench.rounds, seconds), best)


def prepared(bench: Bench) -> Findings:
    long, clips = bench.long(), bench.clips("audio_16k")
    own = [ours(kind, long, streaming=streams) for kind, streams in KINDS.items()]
    scaled = [
        ours(f"{kind}, {NORMALISED}", long, streaming=streams, normalize=True)
        for kind, streams in KINDS.items()
    ]
    at_first = [
        ours_at_first(f"{kind}, {FIRST}", long, streaming=streams)
        for kind, streams in KINDS.items()
    ]
    pcm = pcm_of(shards(bench.folder, "audio_16k"))
    limits = [*conversion(pcm, BATCH_SIZE), kernel(pcm)]
    others = peers(clips, str(bench.scratch / "cache"), BATCH_SIZE)
    slow = reference(bench.clips("audio"), BATCH_SIZE)
    standing = compare(bench, [*limits, *own, *scaled, *at_first, *others, slow], bench.seconds)
    print_standing("`audio_16k`: 16 kHz, 16-bit WAV", standing)
    print(f"`stats()` after a pass of streaming: {time_spent(long)}\n")
    goals = []
    for kind in KINDS:
        name = f"ours, {kind}"
        against = f"`audio_16k`, {kind}, against"
        limit, peer = standing.limit, standing.best_peer
        by_reference = standing.ratio(f"{name}, {NORMALISED}", REFERENCE)
        goals += [
            Goal(f"{against} converting alone", standing.ratio(name, limit), "{:.0%}", 0.5, 0.8),
            Goal(f"{against} the {REFERENCE}", by_reference, "{:.1f} x", 40, 80),
            Goal(f"{against} {peer}", standing.ratio(name, peer), "{:.1f} x", 2, 4),
            Goal(
                f"{against} {peer}, in its {FIRST}",
                standing.ratio(f"{name}, {FIRST}", peer),
                "{:.1f} x",
                2,
                4,
            ),
        ]
    return Findings(goals, standing)


def flac(bench: Bench) -> Findings:
    clips = bench.clips("audio")
    own = [
        ours(kind, bench.folder, streaming=streams, config="audio")
        for kind, streams in KINDS.items()
    ]
    encoded = [file for path in shards(bench.folder, "audio") for file in files_of(path)]
    others = peers(clips, str(bench.scratch / "cache"), BATCH_SIZE)
    standing = compare(bench, [*decoding(encoded), *own, *others], 1.5 * bench.seconds)
    print_standing("`audio`: 44.1 kHz FLAC, resampled to 16 kHz", standing)
    goals = []
    for kind in KINDS:
        name = f"ours, {kind}"
        against = f"`audio`, {kind}, against"
        limit, peer = standing.limit, standing.best_peer
        goals += [
            Goal(f"{against} decoding alone", standing.ratio(name, limit), "{:.0%}", 0.85, 0.95),
            Goal(f"{against} {peer}", standing.ratio(name, peer), "{:.2f} x", 1.2, 1.5),
        ]
    return Findings(goals, standing)


def order(bench: Bench) -> Findings:
    orders: dict[str, dict[str, Any]] = {
        "sequential": {"shuffle": False},
        "shuffled": {},
        "stratified": {"stratify": "skill_tier"},
    }
    entrants = [
        ours(f"{kind}, {name}", bench.long(), streaming=streams, **options)
        for kind, streams in KINDS.items()
        for name, options in orders.items()
    ]
    standing = compare(bench, entrants, bench.seconds)
    print_standing("orders of `audio_16k`", standing)
    return Findings(
        [
            Goal(
                f"{kind}, stratified and shuffled against sequential",
                standing.ratio(f"ours, {kind}, stratified", f"ours, {kind}, sequential"),
                "{:.0%}",
                0.95,
                1.0,
            )
            for kind in KINDS
        ]
    )


def start(bench: Bench) -> Findings:
    print("## first batch\n\n| what | seconds |\n|---|---:|")
    goals = []
    for kind, streams in KINDS.items():
        state = state_late(bench.long(), streaming=streams)
        waits = [
            seconds_to_start(bench.long(), state, streaming=streams) for _ in range(bench.rounds)
        ]
        opening, first, resumed = (statistics.median(wait) for wait in zip(*waits, strict=True))
        print(f"| {kind}, opening {bench.rows:,} rows | {opening:.3f} |")
        print(f"| {kind}, first batch of an epoch | {first:.3f} |")
        print(f"| {kind}, first batch after resuming at 90 % | {resumed:.3f} |")
        slower = statistics.median(resumed / first for _, first, resumed in waits)
        late = f"{kind}, first batch after resuming, against that of an epoch"
        goals += [
            Goal(f"{kind}, first batch of an epoch", first, "{:.2f} s", 0.3, 0.1, fewer=True),
            Goal(late, slower, "{:.1f} x", 2, 1, fewer=True),
        ]
    print()
    return Findings(goals)


def memory(bench: Bench) -> Findings:
    few = bench.rows // 10
    short = repeated(bench.folder, bench.scratch, few)
    peaks = [
        (peak_private_mb(short, 2), peak_private_mb(bench.long(), 2)) for _ in range(bench.rounds)
    ]
    of_few, of_many = (statistics.median(peak) for peak in zip(*peaks, strict=True))
    print("## memory\n\n| what | private, all processes |\n|---|---:|")
    print(f"| streaming {few:,} rows | {of_few:.0f} MB |")
    print(f"| streaming {bench.rows:,} rows | {of_many:.0f} MB |\n")
    growth = statistics.median(many / few - 1 for few, many in peaks)
    what = f"peak memory, streaming, {bench.rows:,} rows against {few:,}"
    return Findings([Goal(what, growth, "{:+.0%}", 0.15, 0, fewer=True)])


SECTIONS: dict[str, Callable[[Bench], Findings]] = {
    "prepared": prepared,
    "flac": flac,
    "order": order,
    "start": start,
    "memory": memory,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how fast clips are loaded.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rows", type=int, default=12_000)
    parser.add_argument("--scratch", type=Path)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    packages = ("torch", "numpy", "pyarrow", "soundfile", "soxr", "datasets")
    versions = " ".join(f"{name} {version(name)}" for name in packages)
    print(f"{platform.machine()}, {cores} cores, Python {platform.python_version()}, {versions}\n")
    with tempfile.TemporaryDirectory() as temporary:
        scratch = options.scratch or Path(temporary)
        bench = Bench(options.folder, scratch, options.rows, options.rounds, options.seconds)
        found = {name: SECTIONS[name](bench) for name in SECTIONS if name in options.only}
    print_goals([goal for section in found.values() for goal in section.goals])
    if options.picture:
        save_picture(
            {name: each.standing for name, each in found.items() if each.standing}, options.picture
        )


if __name__ == "__main__":
    main()
