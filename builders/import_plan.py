"""What an import makes: which files, in which split and shard, under which ids."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from importlib.metadata import version
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sousa.builders.midi_limits import Limits
from sousa.builders.midi_schema import KIND
from sousa.builders.schema import SPLITS
from sousa.builders.shards import Shard
from sousa.builders.smf import Ints
from sousa.builders.tokens import Tokenizer

MOST_ROWS_PER_SHARD: Final = 4096
SHARD_BYTES: Final = 64_000_000
"""About so much a shard holds before compression: little work is lost when an import is killed."""

ROW_BYTES: Final = 2000
NOTE_BYTES: Final = 40
"""What a row takes before compression, but for the file's own bytes; estimated."""

MIDITOK: Final = "miditok"
"""One more where one of its tokenizers is used."""

LIBRARIES: Final = ("sousa-datasets", "numpy", "pyarrow", "symusic")

FOLDER_SPLITS: Final[Mapping[str, str]] = {
    "train": "train",
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "eval"), "test"),
}
"""Splits by the names of folders, in small letters."""

KEPT_FIRST: Final = ("test", "validation", "train")
"""Of equal files in several splits, the one in the first of these is kept."""

ID_BYTES: Final = 16
"""Of a file's SHA-256, in its row's id."""


@dataclass(frozen=True, kw_only=True)
class ImportPlan:
    """All that decides what comes out of an import.

    Attributes:
        files: Lines of the listing.
        listing_sha256: Of the listing: a tree with other names or sizes is another plan's.
        tokenizers: By token column.
        shares: Of train, validation and test; None takes the splits from the top folders.
        seed: Of splits and order.
        keep_duplicates: Whether equal files are all kept; they are in one split in any case.
        limits: What files must be like.
    """

    files: int
    listing_sha256: str
    tokenizers: Mapping[str, Tokenizer] = field(default_factory=dict)
    shares: tuple[float, float, float] | None = (0.9, 0.05, 0.05)
    seed: int = 42
    keep_duplicates: bool = False
    limits: Limits = field(default_factory=Limits)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as the manifest records it: every option and every version."""
        lossy = any(tokenizer.lossy for tokenizer in self.tokenizers.values())
        libraries = (*LIBRARIES, MIDITOK) if lossy else LIBRARIES
        return {
            "import": KIND,
            "files": self.files,
            "listing_sha256": self.listing_sha256,
            "tokens": {column: each.hash for column, each in self.tokenizers.items()},
            "split": "folder" if self.shares is None else list(self.shares),
            "seed": self.seed,
            "keep_duplicates": self.keep_duplicates,
            "limits": asdict(self.limits),
            "versions": {name: version(name) for name in libraries},
        }


def shares(text: str) -> tuple[float, float, float]:
    """Return the shares of the three splits from one, two or three numbers.

    What is left by one number is halved, what is left by two is the test split's.

    Raises:
        ValueError: If they are no shares of one whole.

    Examples:
        >>> shares("0.5")
        (0.5, 0.25, 0.25)
        >>> shares("0.5,0.5")
        (0.5, 0.5, 0.0)
    """
    given = [float(number) for number in text.split(",")]
    left = 1 - sum(given)
    if len(given) > 3 or not all(0 <= share <= 1 for share in given) or left < -1e-9:
        raise ValueError
    rest = {1: [left / 2] * 2, 2: [left], 3: []}[len(given)]
    if len(given) == 3 and left > 1e-9:
        raise ValueError
    first, second, third = (max(0.0, round(share, 9)) for share in [*given, *rest])
    return first, second, third


class Readable(NamedTuple):
    """The files that can be imported, in listing order.

    Attributes:
        line: Of the listing, int64.
        midi: SHA-256 of the bytes, as `V32`.
        events: SHA-256 of what they play, as `V32`.
        weight: Estimated bytes in the dataset, int64.
        split: Place in `SPLITS` by the folder; -1 where folders decide nothing.
    """

    line: Ints
    midi: NDArray[np.void]
    events: NDArray[np.void]
    weight: Ints
    split: Ints


class Duplicate(NamedTuple):
    """A file that is left out because of another; both are lines of the listing."""

    line: int
    of: int
    same: str


class Placed(NamedTuple):
    """Rows of a shard: lines of the listing and their ids, in stored order."""

    shard: Shard
    lines: list[int]
    ids: list[str]


def duplicates(files: Readable, plan: ImportPlan) -> tuple[Readable, list[Duplicate]]:
    """Return the files without those that are equal to another, and those.

    Of equal files the one whose split `KEPT_FIRST` names first is kept, then the first listed. If
    duplicates are to be kept, those in other splits are still left out.
    """
    rank = np.array([KEPT_FIRST.index(name) for name in SPLITS] + [0])[files.split]
    order = np.lexsort((files.line, rank))
    _, first, group = np.unique(files.events[order], return_index=True, return_inverse=True)
    original = np.empty(len(order), np.int64)
    original[order] = order[first][group]
    left_out = original != np.arange(len(order))
    if plan.keep_duplicates:
        left_out &= files.split[original] != files.split
    found = [
        Duplicate(
            int(files.line[place]),
            int(files.line[original[place]]),
            "bytes" if files.midi[place] == files.midi[original[place]] else "events",
        )
        for place in np.flatnonzero(left_out).tolist()
    ]
    return Readable(*(cells[~left_out] for cells in files)), found


def placed(files: Readable, plan: ImportPlan) -> Iterator[Placed]:
    """Yield the shards with their rows, those of the train split first.

    Files that play the same are in one split, and which one follows from the seed and their
    content; so does the order of rows.
    """
    copies = _copies(files.midi)
    split = files.split if plan.shares is None else _drawn(files.events, plan.shares, plan.seed)
    order = _order(files.midi, plan.seed, "order")
    for number, name in enumerate(SPLITS):
        chosen = order[split[order] == number]
        rows, weight = len(chosen), int(files.weight[chosen].sum())
        count = max(-(-rows // MOST_ROWS_PER_SHARD), min(rows, -(-weight // SHARD_BYTES)))
        for index in range(count):
            places = chosen[index * rows // count : (index + 1) * rows // count].tolist()
            yield Placed(
                Shard(name, index, count, len(places)),
                files.line[places].tolist(),
                [_id(files.midi[place], int(copies[place])) for place in places],
            )


def _id(midi: np.void, copy: int) -> str:
    """Return an id that begins like the SHA-256 of the bytes; copies of a file are numbered."""
    return midi.tobytes()[:ID_BYTES].hex() + (f"-{copy}" if copy else "")


def _copies(midi: NDArray[np.void]) -> Ints:
    """Return how many files with the same bytes are listed before each."""
    _, group = np.unique(midi, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], group[order])
    copies = np.empty(len(order), np.int64)
    copies[order] = np.arange(len(order)) - starts
    return copies


def _drawn(events: NDArray[np.void], of: Sequence[float], seed: int) -> Ints:
    """Return the split of each file: groups of equal files are shuffled and cut."""
    unique, group = np.unique(events, return_inverse=True)
    order = _order(unique, seed, "split")
    split = np.empty(len(unique), np.int64)
    split[order] = np.repeat(range(len(of)), _counts(of, len(unique)))
    return split[group]


def _counts(of: Sequence[float], total: int) -> list[int]:
    """Return how many groups each split gets: its share, but one at least where there are enough.

    Examples:
        >>> _counts((0.9, 0.05, 0.05), 100), _counts((0.9, 0.05, 0.05), 4)
        ([90, 5, 5], [2, 1, 1])
    """
    wanted = [place for place, share in enumerate(of) if share > 0][:total]
    counts = [round(share * total) for share in of]
    for place in wanted:
        counts[place] = max(1, counts[place])
    largest = max(wanted, key=lambda place: of[place], default=0)
    counts[largest] += total - sum(counts)
    return counts


def _order(digests: NDArray[np.void], seed: int, name: str) -> Ints:
    """Return places in an order of chance that each digest has by itself; equal ones in theirs."""
    begin = f"{seed} {name} ".encode()
    keys = bytearray()
    for digest in digests:
        keys += blake2b(begin + digest.tobytes(), digest_size=8).digest()
    return np.argsort(np.frombuffer(bytes(keys), np.uint64), kind="stable")
