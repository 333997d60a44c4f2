"""Columns of rows become sequences with their labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sousa.loaders.errors import BrokenRow, BrokenRowError
from sousa.loaders.labelling import class_id, scores
from sousa.loaders.rows import Declared, values_of
from sousa.loaders.source import Source
from sousa.loaders.targets import Target
from sousa.loaders.token_augment import Augmentation
from sousa.loaders.token_chunks import TokenChunk
from sousa.loaders.token_rules import Rules
from sousa.loaders.token_sequences import Sequences
from sousa.loaders.token_values import check_ids, ragged
from sousa.loaders.token_vocabulary import Vocabulary

NAME = "sample_id"


@dataclass(frozen=True, eq=False)
class Reading:
    """What is read of each row.

    Attributes:
        column: The tokens.
        vocabulary: Their tokenizer's; None where it is unknown.
        target: What is learnt beside them; None for nothing.
        target_column: Other tokens, to be decoded from them; None for none.
        declared: What is declared about the columns.
    """

    column: str
    vocabulary: Vocabulary | None
    target: Target | None
    target_column: str | None
    declared: Declared

    def stored(self, source: Source, rules: Rules, *, skip: bool) -> TokenChunk:
        """Return all rows of a source; those that cannot be read have no tokens."""
        wanted = [self.column, NAME] if NAME in self.declared.columns else [self.column]
        wanted += [] if self.target is None else self.target.columns
        wanted += [] if self.target_column is None else [self.target_column]
        read: dict[str, pa.ChunkedArray] = {}
        for name in dict.fromkeys(wanted):
            found, whole = source.column(name, skip_broken=skip)
            read[name] = found if whole.all() else found.filter(pa.array(whole))
        return self.chunk(pa.table(read), range(len(read[self.column])), rules)

    def chunk(self, table: pa.Table, places: Sequence[Any], rules: Rules) -> TokenChunk:
        """Return the sequences of a table.

        Args:
            table: The columns.
            places: What tells each row from others, where they have no `sample_id`.
            rules: How rows are cut.

        Raises:
            ValueError: If ids are not the tokenizer's.
            BrokenRowError: If a label cannot be used.
        """
        rows = ragged(table.column(self.column), self.column)
        if self.vocabulary is not None:
            check_ids(rows, self.vocabulary, self.column)
        names = values_of(table.column(NAME), NAME) if NAME in table.column_names else None
        targets = None
        if self.target_column is not None:
            targets = ragged(table.column(self.target_column), self.target_column)
        sequences = Sequences.of(rows, rules)
        labels = self.labels(table, names)
        return TokenChunk(sequences, names, places, self.target, labels, targets)

    def labels(self, table: pa.Table, names: Sequence[str] | None) -> npt.NDArray[Any] | None:
        """Return the class or the scores of each row; a score that is missing is NaN."""
        if self.target is None:
            return None
        broken: dict[int, str] = {}
        found: list[Any] = []
        if self.target.is_class:
            column = self.target.columns[0]
            for row, value in enumerate(values_of(table.column(column), column)):
                try:
                    found.append(class_id(self.target, self.declared, value))
                except ValueError as error:
                    broken[row] = str(error)
        else:
            found = list(scores(table, self.target, broken))
        for row, cause in broken.items():
            name = None if names is None else names[row]
            raise BrokenRowError(BrokenRow(self.column, row, name, cause))
        return np.array(found, np.int64 if self.target.is_class else np.float64)

    def fingerprint(self, rules: Rules, augment: Augmentation | None, content: str) -> str:
        """Return a hash of tokens, tokenizer, and of how rows are cut and changed."""
        begins = None if rules.begins is None else np.flatnonzero(rules.begins).tolist()
        known = [
            *(content, self.column, self.target_column, begins, rules.most, rules.mode),
            *(rules.stride, rules.bos, rules.eos, rules.prefix),
            None if self.vocabulary is None else self.vocabulary.hash,
            None if augment is None else augment.key(),
        ]
        return blake2b(repr(known).encode(), digest_size=8).hexdigest()
