"""Tokenizers of the package `miditok`, as token columns.

The ids are MidiTok's own. Its tokenizers round times, velocities and tempos, and some fail on some
files, so every row is decoded again: where the notes that come back are not those that MidiTok set
out to encode, the row has no tokens; where they are not the file's, it says so.
"""

import importlib
import json
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final

from sousa.builders.batches import Strokes
from sousa.builders.miditok_rows import checked, encoded, named, score_of, vocabulary_of
from sousa.builders.tokenizer import Encoded, check_unchanged, digest, paired
from sousa.builders.vocabulary import SPECIALS, Ids

CLASSES: Final = {
    name.lower(): name
    for name in (
        *("REMI", "TSD", "MIDILike", "Structured", "CPWord"),
        *("Octuple", "MuMIDI", "MMM", "PerTok", "BEAT"),
    )
}
"""MidiTok's classes by their names on the command line."""

VERSION: Final = 1
"""Counts up when we store what MidiTok gives in another way."""

MIDITOK_KEYS: Final = (
    *("config", "tokenization", "miditok_version", "symusic_version", "hf_tokenizers_version"),
    *("_vocab_base", "_model", "_vocab_base_byte_to_token"),
)
"""What MidiTok writes itself. Other keys it takes for attributes, whatever they would overwrite."""

MOST_IDS: Final = 2**16
"""Ids of a vocabulary, so that each is an uint16."""


@dataclass(frozen=True)
class MidiTokTokenizer:
    """One of MidiTok's tokenizers, in one configuration.

    Attributes:
        type: Its class in lower case, such as `remi`.
        text: Its file in `tokenizers/`, which MidiTok can load as well.
    """

    type: str
    text: str

    lossy = True
    needs_strokes = False

    @cached_property
    def _content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.text)
        return content

    @property
    def hash(self) -> str:
        """SHA-256 of class, configuration, version and vocabulary."""
        return str(self._content["hash"])

    @property
    def identity(self) -> str:
        """What a plan records: its class and its hash."""
        return f"{self.type}:{self.hash}"

    @property
    def depth(self) -> int:
        """2 where it has several vocabularies, so that a row is a list of lists."""
        return int(self._content["depth"])

    @property
    def vocab(self) -> dict[str, int]:
        """Ids by token; with several vocabularies, by its number, a slash and the token."""
        return dict(self._content["vocabulary"])

    @property
    def special_ids(self) -> dict[str, int]:
        """Ids of those of PAD, BOS, EOS and MASK that it has."""
        return dict(self._content["special_ids"])

    def to_json(self) -> str:
        """Return its file in `tokenizers/`."""
        return self.text

    def encode(self, midi: bytes, strokes: Strokes | None = None) -> Ids | list[Ids]:
        """Return MidiTok's ids of a MIDI file.

        Raises:
            ValueError: If it is none, or what comes back of it is not what was encoded.
        """
        encoded = self.tokenize([midi], [strokes])[0]
        if encoded.ids is None:
            raise ValueError(encoded.reason)
        return encoded.ids

    def tokenize(
        self, files: Sequence[bytes], strokes: Sequence[Strokes | None] | None = None
    ) -> list[Encoded]:
        """Return the tokens of many files, each checked by decoding; never raises for a file."""
        tokenizer = _loaded(self.text)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [encoded(tokenizer, midi) for midi, _ in paired(files, strokes)]

    def decode(self, ids: Iterable[Any]) -> bytes:
        """Return the MIDI file that MidiTok makes of ids.

        Raises:
            ValueError: If it cannot, or they are no ids of its vocabulary.
        """
        tokenizer = _loaded(self.text)
        rows = checked(tokenizer, ids)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return bytes(score_of(tokenizer, rows).dumps_midi())
            except Exception as error:  # whatever it comes upon
                raise ValueError(f"{self.type} cannot decode these ids: {named(error)}") from error


def from_config(type_: str, path: Path) -> MidiTokTokenizer:
    """Return the tokenizer that a configuration describes.

    Args:
        type_: One of `CLASSES`.
        path: A configuration as MidiTok's `TokenizerConfig` saves it, of which all but what differs
            from MidiTok's own may be left out; or a tokenizer that MidiTok saved, trained or not.

    Raises:
        ValueError: If MidiTok refuses it, is not installed, or gives more ids than an uint16 holds.
        OSError: If the file cannot be read.
    """
    module = _miditok()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} must be a configuration in JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must be a configuration in JSON, got a {type(content).__name__}")
    made_for = content.get("tokenization", CLASSES[type_])
    if made_for != CLASSES[type_]:
        raise ValueError(f"{path} is a tokenizer of class {made_for}, not {CLASSES[type_]}")
    try:
        if "tokenization" in content:
            tokenizer = _made(type_, content)
        else:
            tokenizer = getattr(module, CLASSES[type_])(_config(module, content))
    except Exception as error:  # whatever it says of a configuration
        raise ValueError(f"{path}: MidiTok refuses it: {named(error)}") from error
    return MidiTokTokenizer(type_, _text(type_, tokenizer))


def _config(module: Any, content: dict[str, Any]) -> Any:
    """Return a configuration from JSON, whose keys are all text, and of which parts may lack."""
    content = content | content.pop("additional_params", {})
    for name in ("beat_res", "beat_res_rest"):
        if name in content:
            content[name] = {
                tuple(map(int, beats.split("_"))): steps for beats, steps in content[name].items()
            }
    if "time_signature_range" in content:
        beats = content["time_signature_range"]
        content["time_signature_range"] = {int(key): value for key, value in beats.items()}
    return module.TokenizerConfig(**content)


def from_file(path: Path, content: dict[str, Any]) -> MidiTokTokenizer:
    """Return the tokenizer of a file in `tokenizers/`.

    Raises:
        ValueError: If the file was changed, or the MidiTok that is installed gives other ids.
    """
    check_unchanged(path, content, VERSION)
    text = _dumped(content)
    _miditok()  # says what to do if it is missing
    try:
        vocabulary = vocabulary_of(_loaded(text))
    except Exception as error:  # whatever it says of a file
        raise ValueError(f"{path}: MidiTok refuses it: {named(error)}") from error
    if vocabulary != content.get("vocabulary"):
        version = content.get("miditok_version")
        raise ValueError(f"{path}: made with MidiTok {version}, the one installed gives other ids")
    return MidiTokTokenizer(str(content["type"]), text)


def _text(type_: str, tokenizer: Any) -> str:
    vocabulary = vocabulary_of(tokenizer)
    parts = tokenizer.vocab if tokenizer.is_multi_voc else [vocabulary]
    if max(len(part) for part in parts) > MOST_IDS:
        raise ValueError(f"{type_}: at most {MOST_IDS} ids fit, got {len(tokenizer)}")
    content = tokenizer.to_dict() | {
        "type": type_,
        "version": VERSION,
        "ticks_per_quarter": int(tokenizer.time_division),
        "depth": 2 if tokenizer.is_multi_voc else 1,
        "special_ids": {
            name: parts[0][f"{name}_None"] for name in SPECIALS if f"{name}_None" in parts[0]
        },
        "vocabulary": vocabulary,  # MidiTok sets what it does not know; `vocab` cannot be set
    }
    content = json.loads(json.dumps(content))
    return _dumped(content | {"hash": digest(content)})


def _dumped(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1) + "\n"


@lru_cache
def _loaded(text: str) -> Any:
    content = json.loads(text)
    return _made(content["type"], content)


def _made(type_: str, content: dict[str, Any]) -> Any:
    """Return MidiTok's tokenizer of a file's content."""
    cls = getattr(_miditok(), CLASSES[type_])
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "tokenizer.json"
        theirs = {key: content[key] for key in MIDITOK_KEYS if key in content}
        path.write_text(json.dumps(theirs), encoding="utf-8")
        return cls(params=path)


@lru_cache
def _miditok() -> Any:
    """Import MidiTok, without torch: it would add seconds and 200 MB to every worker."""
    with _hidden("torch"):
        try:
            return importlib.import_module("miditok")
        except ImportError as error:
            raise ValueError(
                'this tokenizer needs MidiTok: pip install "sousa-datasets[miditok]"'
            ) from error


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Make a package that was not imported yet impossible to import."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # this is how Python notes it
    try:
        yield
    finally:
        del sys.modules[name]
