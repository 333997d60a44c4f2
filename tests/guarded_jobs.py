"""Jobs whose items end, or hold up, the process that meets them; processes import them by name."""

import hashlib
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sousa.builders.tokens import Encoded, parse_tokenizers

Begin = Callable[[int, int], None]


def go_through(
    folder: Path, job: int, items: dict[int, str], lost: Mapping[int, str], begin: Begin
) -> None:
    """Write a file for each item: what became of it. Items are `die`, `hang`, `raise` or fine."""
    for item in range(6):
        begin(item, item)
        if item in lost:
            (folder / f"{job}-{item}").write_text(lost[item])
            continue
        match items.get(item):
            case "die":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "hang":
                threading.Event().wait()
            case "raise":
                raise KeyError(item)
            case "full":
                raise OSError(28, "No space left on device", "/full/file")
        (folder / f"{job}-{item}").write_text("fine")
    begin(6, 6)


@dataclass(frozen=True)
class DeadlyTokenizer:
    """The `grid` tokenizer, but one file ends the process."""

    deadly: bytes
    type: str = "grid"
    depth: int = 1
    lossy: bool = False
    needs_strokes: bool = False

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.deadly).hexdigest()

    def tokenize(self, files: Sequence[bytes], strokes: None = None) -> list[Encoded]:
        if self.deadly in files:
            os.kill(os.getpid(), signal.SIGSEGV)
        return parse_tokenizers(["grid"])["tokens"].tokenize(files, strokes)

    def to_json(self) -> str:
        return parse_tokenizers(["grid"])["tokens"].to_json()


def die_at_once(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
