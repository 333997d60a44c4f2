"""What an import of recordings makes: which are in which split and shard, and under which ids."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final, NamedTuple

from sousa.builders.audio_schema import CONFIGS, KIND, recorded
from sousa.builders.import_plan import FOLDER_SPLITS, KEPT_FIRST
from sousa.builders.schema import SPLITS, Column
from sousa.builders.shards import Shard

SHARD_BYTES: Final = 256_000_000
"""About so much a shard of config `audio` holds: work that is lost when an import is killed."""

BYTES_PER_SAMPLE: Final = 1.2
"""What a sample takes as FLAC, more or less; estimated."""

ROW_BYTES: Final = 2000
"""What a row takes beside its audio; estimated."""

LIBRARIES: Final = ("sousa-datasets", "numpy", "pyarrow", "soundfile", "soxr")

ID_CHARACTERS: Final = 32


@dataclass(frozen=True, kw_only=True)
class AudioPlan:
    """All that decides what comes out of an import.

    Attributes:
        files: Recordings in the folder.
        listing_sha256: Of their names and sizes.
        annotations_sha256: Of the files of annotations.
        columns: Those of the annotations.
        labels: Annotations that were asked for, each perhaps with its kind; none means all.
        configs: Which of `CONFIGS`.
        group: Column whose values are each in one split only; None if files are drawn one by one.
        split_field: Column that names the split; None if it is drawn.
        deciding: Name of either in the annotations.
        shares: Of train, validation and test.
        seed: Of splits and order.
        max_sec: The longest recording that is taken.
    """

    files: int
    listing_sha256: str
    annotations_sha256: str
    columns: tuple[Column, ...]
    labels: tuple[str, ...] = ()
    configs: tuple[str, ...] = CONFIGS
    group: str | None = None
    split_field: str | None = None
    deciding: str | None = None
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1)
    seed: int = 42
    max_sec: float = 3600.0

    def to_json(self) -> dict[str, Any]:
        """Return the plan as the manifest records it: every option and every version."""
        return {
            "import": KIND,
            "files": self.files,
            "listing_sha256": self.listing_sha256,
            "annotations_sha256": self.annotations_sha256,
            "configs": list(self.configs),
            "columns": recorded(self.columns),
            "labels": list(self.labels),
            "group": self.group,
            "split": self.split_field or list(self.shares),
            "deciding": self.deciding,
            "seed": self.seed,
            "max_sec": self.max_sec,
            "versions": {name: version(name) for name in LIBRARIES},
        }


@dataclass(frozen=True, slots=True)
class Take:
    """A recording that becomes a row.

    Attributes:
        path: From the imported folder, as valid text.
        audio_sha256: Of its samples.
        samples: How many they are.
        groups: Values of the field that decides the split; none where it has none.
    """

    path: str
    audio_sha256: str
    samples: int
    groups: tuple[str, ...] = ()

    @property
    def sample_id(self) -> str:
        """Its row's id: that of the same recording under the same path, whatever is beside it."""
        named = f"{self.path}\0{self.audio_sha256}"
        return hashlib.sha256(named.encode()).hexdigest()[:ID_CHARACTERS]


class Arranged(NamedTuple):
    """Who goes where.

    Attributes:
        split_of: Split of each recording, by its place; None for those that are left out.
        left_out: Why, by place.
    """

    split_of: list[str | None]
    left_out: dict[int, str] = {}  # noqa: RUF012 - never changed


def splits_named(takes: Sequence[Take], column: str) -> Arranged:
    """Return the splits that recordings name; equal recordings stay in one."""
    left_out: dict[int, str] = {}
    split_of: list[str | None] = []
    for at, take in enumerate(takes):
        named = {FOLDER_SPLITS.get(value.lower()) for value in take.groups}
        only = named.pop() if len(named) == 1 else None
        split_of.append(only)
        if only is None:
            given = ", ".join(take.groups) or "nothing"
            left_out[at] = f"{column} must name one of {', '.join(FOLDER_SPLITS)}; it is {given}"
    of_audio: dict[str, list[int]] = defaultdict(list)
    for at, take in enumerate(takes):
        if split_of[at]:
            of_audio[take.audio_sha256].append(at)
    for equal in of_audio.values():
        kept = min(equal, key=lambda at: (KEPT_FIRST.index(split_of[at] or ""), at))
        for at in equal:
            if split_of[at] != split_of[kept]:
                left_out[at] = f"duplicate: the same audio as {takes[kept].path}, in another split"
                split_of[at] = None
    return Arranged(split_of, left_out)


def splits_drawn(takes: Sequence[Take], shares: Sequence[float], seed: int) -> Arranged:
    """Return splits in which no value of `groups`, and no audio, is in two.

    Recordings that share one are together, and so are all that are linked by others. Such groups
    are put, in an order of chance that seed and names decide, where most is missing to the shares;
    those that would fill a split alone come first. No split with a share is empty where there are
    enough groups.
    """
    groups = linked([[("value", v) for v in t.groups] + [("audio", t.audio_sha256)] for t in takes])
    wanted = [split for split, share in zip(SPLITS, shares, strict=True) if share > 0]
    targets = {s: share * len(takes) for s, share in zip(SPLITS, shares, strict=True) if share > 0}
    small = min(targets.values())

    def order(group: Sequence[int]) -> tuple[int, bytes]:
        names = sorted({name for at in group for name in takes[at].groups or (takes[at].path,)})
        chance = hashlib.blake2b(f"{seed} split {names!r}".encode(), digest_size=16).digest()
        return (-len(group) if len(group) > small else 0), chance

    missing = dict(targets)
    members: dict[str, list[list[int]]] = {split: [] for split in wanted}
    ordered = sorted(groups, key=order)
    for number, group in enumerate(ordered):
        empty = [split for split in wanted if not members[split]]
        open_to = empty if len(empty) >= len(ordered) - number else wanted
        split = max(open_to, key=missing.__getitem__)
        members[split].append(group)
        missing[split] -= len(group)
    split_of: list[str | None] = [None] * len(takes)
    for split, of_split in members.items():
        for at in (at for group in of_split for at in group):
            split_of[at] = split
    return Arranged(split_of)


def linked(names: Sequence[Sequence[Hashable]]) -> list[list[int]]:
    """Return the places in groups: two that have a name in common are in one.

    Examples:
        >>> linked([["a"], ["b"], ["b", "c"], ["c"]])
        [[0], [1, 2, 3]]
    """
    parent = list(range(len(names)))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    first: dict[Hashable, int] = {}
    for at, of_place in enumerate(names):
        for name in of_place:
            parent[root(at)] = root(first.setdefault(name, at))
    groups: dict[int, list[int]] = defaultdict(list)
    for at in range(len(names)):
        groups[root(at)].append(at)
    return list(groups.values())


def placed(
    takes: Sequence[Take], split_of: Sequence[str | None], seed: int
) -> Iterator[tuple[Shard, list[int]]]:
    """Yield the shards with their recordings by place, in stored order: an order of chance."""

    def chance(at: int) -> bytes:
        return hashlib.blake2b(f"{seed} order {takes[at].sample_id}".encode()).digest()

    for split in SPLITS:
        rows = sorted((at for at, of in enumerate(split_of) if of == split), key=chance)
        sizes = [ROW_BYTES + BYTES_PER_SAMPLE * takes[at].samples for at in rows]
        count = min(len(rows), -int(-sum(sizes) // SHARD_BYTES))
        for index in range(count):
            part = rows[index * len(rows) // count : (index + 1) * len(rows) // count]
            yield Shard(split, index, count, len(part)), part


def splits_record(
    takes: Sequence[Take], split_of: Sequence[str | None], plan: AudioPlan
) -> dict[str, Any]:
    """Return the content of `splits.json`: the groups of each split, and how many rows it has."""
    short = {"train": "train", "validation": "val", "test": "test"}
    groups: dict[str, set[str]] = {split: set() for split in SPLITS}
    rows: Counter[str] = Counter()
    for take, split in zip(takes, split_of, strict=True):
        if split is not None:
            rows[split] += 1
            groups[split].update(take.groups if plan.group else ())
    stats: Mapping[str, int] = {f"{split}_rows": rows[split] for split in SPLITS}
    named = {f"{short[split]}_groups": sorted(names) for split, names in groups.items()}
    return {"group": plan.group, **named, "stats": stats}
