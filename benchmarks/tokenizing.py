"""How fast MIDI files become tokens, beside MidiTok's own tokenizers in the same run.

    python benchmarks/tokenizing.py [--repeats 5] [--clips 100000] [--workers 2]

Takes clips of 64 notes as `sousa build` writes them, and files of three instruments with 2,048
notes. Each tokenizer gets the bytes and gives ids, on one core; ours in batches, as `sousa build`,
`import` and `tokenize` use them, with and without the check that says whether a row is exact.
MidiTok's are in its default configuration, one stream for all programs. Rounds go through all
tokenizers in turn; the table has medians of processor time.

Then subwords: 2,000 ids trained on clips, and used on others. Words that were met are not split
again, so the second pass over the same clips is what a long run comes near to.

At the end, many clips on several processes.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from symusic import Note, Score, Tempo, TimeSignature, Track

from sousa.builders import midi, subword_tokens
from sousa.builders.events import read
from sousa.builders.miditok_tokens import CLASSES
from sousa.builders.subword_models import train
from sousa.builders.subword_tokens import (
    MODELS,
    SubwordTokenizer,
    event_starts,
    subword_tokenizer,
)
from sousa.builders.subword_words import split_of
from sousa.builders.tokens import OwnTokenizer

CLIP_NOTES, SONG_NOTES = 64, 2048
CLIPS, SONGS = 512, 24
SUBWORDS = 2000
Encode = Callable[[Sequence[bytes]], int]


def clip(seed: int) -> bytes:
    """A snare at a professional's spread: sixteenths, 5 ms."""
    rng = np.random.default_rng(seed)
    tempo_bpm = int(rng.integers(60, 181))
    ideal = 480 + 120 * np.arange(CLIP_NOTES)
    off = rng.normal(0, 5, CLIP_NOTES) / midi.ms_per_tick(tempo_bpm)
    velocity = rng.integers(40, 120, CLIP_NOTES)
    return midi.encode(
        midi.Notes(np.sort(np.rint(ideal + off)).astype(int), velocity, tempo_bpm, 4)
    )


def song(seed: int) -> bytes:
    """Piano, bass and drums, with durations and a tempo."""
    rng, score = np.random.default_rng(seed), Score(480)
    score.tempos.append(Tempo(0, 104))
    score.time_signatures.append(TimeSignature(0, 4, 4))
    for program, is_drum in ((0, False), (33, False), (0, True)):
        count = SONG_NOTES // 3 + (is_drum and SONG_NOTES % 3)
        track = Track(program=program, is_drum=is_drum)
        track.notes = Note.from_numpy(
            time=np.sort(rng.integers(0, 64 * 1920, count)).astype(np.int32),
            duration=rng.integers(30, 960, count).astype(np.int32),
            pitch=rng.integers(36, 80, count).astype(np.int8),
            velocity=rng.integers(30, 120, count).astype(np.int8),
        )
        score.tracks.append(track)
    return bytes(score.dumps_midi())


def ours(name: str, *, checked: bool) -> Encode:
    tokenizer = OwnTokenizer(name)

    def encode(files: Sequence[bytes]) -> int:
        if checked:
            return sum(len(each.ids) for each in tokenizer.tokenize(files))
        batches = (files[start : start + 256] for start in range(0, len(files), 256))
        return sum(
            len(ids) for batch in batches for ids in tokenizer.encode_events([*map(read, batch)])
        )

    return encode


def theirs(name: str) -> Encode | None:
    try:
        import miditok
    except ImportError:
        return None
    settings = {"use_programs": True}
    if name == "mmm":
        settings["base_tokenizer"] = "TSD"
    if name == "pertok":
        settings |= {"use_microtiming": True, "ticks_per_quarter": 480, "beat_res": {(0, 12): 4}}
        settings |= {"max_microtiming_shift": 0.125, "num_microtiming_bins": 120}
    tokenizer = getattr(miditok, CLASSES[name])(miditok.TokenizerConfig(**settings))

    def encode(files: Sequence[bytes]) -> int:
        return sum(len(tokenizer.encode(Score.from_midi(file)).ids) for file in files)

    return encode


def our_subwords(model: str, learned: Sequence[bytes]) -> tuple[SubwordTokenizer, OwnTokenizer]:
    base = OwnTokenizer("grid")
    split = split_of(base.vocab, event_starts(base))
    words = split.words([base.encode(file) for file in learned])
    trained = train(model, words, split.size, SUBWORDS)
    return subword_tokenizer(model, base, trained, {}), base


def their_subwords(learned: Sequence[bytes]) -> tuple[Encode, Encode] | None:
    """REMI with BPE, and without."""
    try:
        import miditok
    except ImportError:
        return None
    tokenizer = miditok.REMI(miditok.TokenizerConfig(use_programs=True))
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.mid" for number in range(len(learned))]
        for path, file in zip(paths, learned, strict=True):
            path.write_bytes(file)
        tokenizer.train(vocab_size=SUBWORDS, model="BPE", files_paths=paths)

    def encode(files: Sequence[bytes], *, subwords: bool) -> int:
        scores = map(Score.from_midi, files)
        return sum(len(tokenizer.encode(score, encode_ids=subwords).ids) for score in scores)

    return partial(encode, subwords=True), partial(encode, subwords=False)


def compare_subwords(repeats: int) -> None:
    """Print microseconds and tokens a note of subwords, from bytes, and without their base."""
    learned, files = ([clip(seed) for seed in range(CLIPS * n, CLIPS * (n + 1))] for n in (1, 2))
    theirs_found = their_subwords(learned)
    found: dict[str, list[tuple[float, float, int]]] = {}
    for model in MODELS:
        tokenizer, base = our_subwords(model, learned)
        for _ in range(repeats):
            subword_tokens._loaded.cache_clear()
            tokenizer.compress([])
            alone, _ = timed(lambda files, base=base: len(base.tokenize(files)), files)
            for what in ("words not met before", "words met before"):
                taken, count = timed(lambda files, t=tokenizer: _count(t, files), files)
                found.setdefault(f"grid, {model}, {what}", []).append((taken, taken - alone, count))
    for _ in range(repeats if theirs_found else 0):
        encode, plain = theirs_found or (len, len)
        (taken, count), (alone, _) = timed(encode, files), timed(plain, files)
        found.setdefault("REMI, bpe", []).append((taken, taken - alone, count))
    print(f"\n{'64-note clips, subwords':40}{'us a note':>10}{'of it subwords':>16}{'tokens':>8}")
    for name, rounds in found.items():
        total = CLIP_NOTES * len(files)
        us, of_it, tokens = (statistics.median(each) / total for each in zip(*rounds, strict=True))
        print(f"{name:40}{us * 1e6:10.2f}{of_it * 1e6:16.2f}{tokens:8.2f}")


def _count(tokenizer: SubwordTokenizer, files: Sequence[bytes]) -> int:
    return sum(len(each.ids) for each in tokenizer.tokenize(files))


def timed(encode: Encode, files: Sequence[bytes]) -> tuple[float, int]:
    began = time.process_time()
    tokens = encode(files)
    return time.process_time() - began, tokens


def compare(repeats: int) -> None:
    """Print microseconds and tokens a note of every tokenizer."""
    encoders = {
        "grid": ours("grid", checked=True),
        "grid, unchecked": ours("grid", checked=False),
        "ms": ours("ms", checked=True),
        "ms, unchecked": ours("ms", checked=False),
    }
    for name in CLASSES:
        encode = theirs(name)
        if encode is None:
            print("MidiTok is not installed: ours alone")
            break
        encoders[CLASSES[name]] = encode
    kinds = {
        CLIP_NOTES: [clip(seed) for seed in range(CLIPS)],
        SONG_NOTES: [song(seed) for seed in range(SONGS)],
    }
    found: dict[tuple[str, int], list[tuple[float, int]]] = {}
    for _ in range(repeats):
        for name, encode in encoders.items():
            for notes, files in kinds.items():
                found.setdefault((name, notes), []).append(timed(encode, files))
    print(f"{'':18}{'us a note':>20}{'tokens a note':>26}")
    print(f"{'notes in a file':18}{CLIP_NOTES:>12}{SONG_NOTES:>10}{CLIP_NOTES:>14}{SONG_NOTES:>10}")
    for name in encoders:
        cells = []
        for notes, files in kinds.items():
            rounds = found[name, notes]
            total = notes * len(files)
            seconds = statistics.median(taken for taken, _ in rounds)
            cells.append((seconds / total * 1e6, rounds[0][1] / total))
        (clip_us, clip_tokens), (song_us, song_tokens) = cells
        print(f"{name:18}{clip_us:12.2f}{song_us:10.2f}{clip_tokens:14.2f}{song_tokens:10.2f}")


def tokens_of(files: list[bytes]) -> int:
    """Tokenise in a worker; returns how many tokens came out."""
    encoded = OwnTokenizer("grid").tokenize(files)
    if not all(each.exact for each in encoded):
        raise ValueError("a clip is not exact")
    return sum(len(each.ids) for each in encoded)


def at_once(clips: int, workers: int) -> None:
    """Print how long many clips take on several processes, once they have started."""
    distinct = [clip(seed) for seed in range(1000)]
    files = [distinct[number % len(distinct)] for number in range(clips)]
    jobs = [files[start : start + 1000] for start in range(0, clips, 1000)]
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        list(pool.map(tokens_of, jobs[:workers]))
        began = time.perf_counter()
        tokens = sum(pool.map(tokens_of, jobs))
        seconds = time.perf_counter() - began
    print(
        f"\n{clips:,} clips of {CLIP_NOTES} notes from bytes, each checked, {workers} processes: "
        f"{seconds:.1f} s, {clips / seconds:,.0f} clips/s, {tokens / seconds / 1e6:.1f} M tokens/s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    names = ("numpy", "symusic", "miditok")
    print(
        f"Python {platform.python_version()}, {len(os.sched_getaffinity(0))} cores; "
        + ", ".join(f"{name} {version(name)}" for name in names)
    )
    compare(options.repeats)
    compare_subwords(options.repeats)
    at_once(options.clips, options.workers)


if __name__ == "__main__":
    main()
