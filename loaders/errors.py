"""What is said about rows that cannot be used."""

from typing import NamedTuple


class BrokenRow(NamedTuple):
    """Where a row is and why it cannot be used.

    Attributes:
        file: The Parquet file, or a name for data that is in no file of ours.
        row: Its position in the file; None when the whole file is meant.
        sample_id: Its id; None when it could not be read.
        cause: What is wrong, in a few words.
    """

    file: str
    row: int | None
    sample_id: str | None
    cause: str


class BrokenRowError(ValueError):
    """A row that cannot be used, raised where the user iterates.

    Args:
        broken: Where it is and what is wrong, or the finished text, from which PyTorch makes the
            error of a worker anew.

    Attributes:
        broken: Where it is and what is wrong; None where only the text is known.
    """

    def __init__(self, broken: BrokenRow | str) -> None:
        super().__init__(broken if isinstance(broken, str) else described(broken))
        self.broken = None if isinstance(broken, str) else broken


def described(broken: BrokenRow) -> str:
    """Return one line that says where a row is, what is wrong, and what can be done."""
    file, row, sample_id, cause = broken
    place = file if row is None else f"{file}, row {row}"
    name = "" if sample_id is None else f", sample {sample_id}"
    return f"{place}{name}: {cause}; repair it, or pass on_error='skip' to go on without it"
