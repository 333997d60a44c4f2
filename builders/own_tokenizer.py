"""The tokenizers `grid` and `ms`: exact tokens, and tokens on a clock."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final

from sousa.builders import grammar, grid_decoding
from sousa.builders.batches import STROKE_FIELDS, Strokes
from sousa.builders.clock_tokens import ClockCode
from sousa.builders.events import Events, read, read_all, write
from sousa.builders.grid_tokens import GridCode
from sousa.builders.tokenizer import Encoded, as_lists, digest, paired
from sousa.builders.vocabulary import SPECIALS, Ids, Vocabulary

VERSIONS: Final = {"grid": 2, "ms": 3}
"""Each counts up when the tokens of a file change, or what they mean."""

STICKING: Final = "+hands"
OWN_TYPES: Final = ("grid", "ms", f"grid{STICKING}", f"ms{STICKING}")

FILES_AT_ONCE: Final = 256
"""Files of one pass: enough that what a pass costs by itself does not count."""


@dataclass(frozen=True)
class OwnTokenizer:
    """A tokenizer that needs no configuration.

    Attributes:
        type: One of `OWN_TYPES`.
    """

    type: str
    depth: int = 1
    lossy: bool = False

    def __post_init__(self) -> None:
        """Refuse another type."""
        if self.type not in OWN_TYPES:
            raise ValueError(f"type must be of {', '.join(OWN_TYPES)}, got {self.type!r}")

    @property
    def needs_strokes(self) -> bool:
        """Whether hands and stroke types are tokens."""
        return self.type.endswith(STICKING)

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens and their families."""
        return _code(self.type).vocabulary

    @property
    def vocab(self) -> dict[str, int]:
        """Ids by token."""
        return self.vocabulary.ids

    @property
    def special_ids(self) -> dict[str, int]:
        """Ids of PAD, BOS, EOS and MASK; they are never in `encode`'s output."""
        return {name: self.vocab[name] for name in SPECIALS}

    @property
    def hash(self) -> str:
        """SHA-256 of all that decides which ids it gives."""
        return str(self._content["hash"])

    @property
    def identity(self) -> str:
        """What a plan records: its type."""
        return self.type

    def encode(self, midi: bytes, strokes: Strokes | None = None) -> Ids:
        """Return the ids of a MIDI file.

        Raises:
            ValueError: If it is none, or holds what these tokens cannot carry.
        """
        events = read(midi)
        self._check(events, strokes)
        return self.encode_events([events], None if strokes is None else [strokes])[0]

    def encode_events(
        self, files: Sequence[Events], strokes: Sequence[Strokes] | None = None
    ) -> list[Ids]:
        """Return the ids of files whose events were read, in one pass over all of them."""
        return _code(self.type).encode(files, strokes) if files else []

    def decode(self, ids: Iterable[int]) -> bytes:
        """Return the MIDI file; special tokens are passed over.

        Raises:
            ValueError: If the ids are not a whole sequence of this tokenizer.
        """
        return write(self.decode_events(ids))

    def decode_events(self, ids: Iterable[int]) -> Events:
        """Return the events that ids say.

        Raises:
            ValueError: If the ids are not a whole sequence of this tokenizer.
        """
        code = _code(self.type)
        if isinstance(code, GridCode):
            return grid_decoding.decode(ids, code.vocabulary)
        return code.decode(ids)

    def illegal_share(self, ids: Iterable[int]) -> float:
        """Return the share of successions that no file gives; 0 for `encode`'s output."""
        return grammar.illegal_share(ids, self.vocabulary, self._rules)

    def tokenize(
        self, files: Sequence[bytes], strokes: Sequence[Strokes | None] | None = None
    ) -> list[Encoded]:
        """Return the tokens of many files at once; never raises for a file."""
        pairs = list(paired(files, strokes))
        return [
            encoded
            for start in range(0, len(pairs), FILES_AT_ONCE)
            for encoded in self._tokenize(pairs[start : start + FILES_AT_ONCE])
        ]

    def _tokenize(self, pairs: Sequence[tuple[bytes, Strokes | None]]) -> list[Encoded]:
        found: list[tuple[Events, str] | str] = []
        for midi, cell in pairs:
            try:
                events, missing = read_all(midi)
                self._check(events, cell)
            except ValueError as error:
                found.append(" ".join(str(error).split()))
            else:
                found.append((events, missing))
        carried = [
            (outcome[0], cell or {})
            for outcome, (_, cell) in zip(found, pairs, strict=True)
            if not isinstance(outcome, str)
        ]
        ids = iter(self.encode_events(*map(list, zip(*carried, strict=True))) if carried else [])
        return [
            Encoded(None, exact=False, reason=outcome)
            if isinstance(outcome, str)
            else Encoded(next(ids), exact=not outcome[1], reason=outcome[1])
            for outcome in found
        ]

    def _check(self, events: Events, strokes: Strokes | None) -> None:
        """Refuse a file that these tokens cannot carry."""
        _code(self.type).check(events)
        if not self.needs_strokes:
            return
        if strokes is None:
            raise ValueError(f"{self.type} tokens need the strokes of a file, not only its MIDI")
        for field, names in STROKE_FIELDS.items():
            cell = strokes.get(field)
            cell = [] if cell is None else as_lists(cell)
            if len(cell) != len(events.notes):
                notes, found = len(events.notes), len(cell)
                raise ValueError(f"the file has {notes} notes, the row {found} strokes")
            strange = set(cell).difference(names, range(len(names)))
            if strange:
                allowed = ", ".join(names)
                raise ValueError(
                    f"{field} of each stroke must be of {allowed}; got {strange.pop()!r}"
                )

    @property
    def _rules(self) -> Any:
        return grammar.GRID if self.type.startswith("grid") else grammar.CLOCK

    @cached_property
    def _content(self) -> dict[str, Any]:
        vocabulary = self.vocabulary
        starts = ["Bar", "Position"] if "Position" in vocabulary.spans else ["Shift"]
        content: dict[str, Any] = {
            "type": self.type,
            "version": VERSIONS[self.type.removesuffix(STICKING)],
            "ticks_per_quarter": _code(self.type).ticks_per_quarter,
            "depth": self.depth,
            "special_ids": self.special_ids,
            "grammar": {
                "event_starts": starts,
                "families": {name: list(span) for name, span in vocabulary.spans.items()},
                "follows": grammar.follows(vocabulary, self._rules),
            },
            "vocab": self.vocab,
        }
        return content | {"hash": digest(content)}

    def to_json(self) -> str:
        """Return its file in `tokenizers/`."""
        return json.dumps(self._content, indent=1) + "\n"


@lru_cache
def _code(type_: str) -> GridCode | ClockCode:
    sticking = type_.endswith(STICKING)
    return GridCode(sticking) if type_.startswith("grid") else ClockCode(sticking)
