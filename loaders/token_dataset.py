"""Token columns become sequences for training, by index or from a stream."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

from torch.utils.data import Dataset, IterableDataset, get_worker_info

from sousa.loaders.access import At
from sousa.loaders.checks import check_choice, check_flag
from sousa.loaders.collate import Sample
from sousa.loaders.errors import BrokenRow
from sousa.loaders.labelling import IDENTITY
from sousa.loaders.layout import Layout
from sousa.loaders.samplers import whole
from sousa.loaders.source import Data, Source, is_stream
from sousa.loaders.targets import Target
from sousa.loaders.token_arguments import (
    check_augment,
    check_windows,
    chosen_rules,
    chosen_vocabulary,
)
from sousa.loaders.token_augment import Augmentation
from sousa.loaders.token_chunks import TokenChunk
from sousa.loaders.token_groups import Streamed
from sousa.loaders.token_reading import Reading
from sousa.loaders.token_rules import CUTS, MODES, Accounting
from sousa.loaders.token_samples import Pair, TokenSamples, Transform, pair_of
from sousa.loaders.token_source import TokensWanted, open_tokens

ON_ERROR: Final = ("raise", "skip")

NO_NUMBERS: Final = "sequences of a stream have no numbers: iterate it, or a loader of it"

READ_AT_ONCE: Final = 64
"""Sequences that are made at a time when a dataset is iterated."""


class TokenDataset(TokenSamples, Dataset[Sample]):
    """Sequences of a token column, each of at most `max_seq_len` tokens.

    A sample is a dict: `input_ids` `(T,)` int64, or `(T, k)` for k vocabularies, and `loss_mask`
    `(T,)` bool: False on BOS and on prefixes that were attached again. Packed ones have
    `document_ids` and `position_ids` `(T,)` and `cu_seqlens` `(documents + 1,)`, too. With
    `target=` there is `label` and `label_mask`, of packed ones for each document. `sample_id` is
    there where the data has it: a list of packed ones.

    No row vanishes because it is short, and `accounting` says what became of every token. By index,
    all tokens are in memory as they are stored, 2 bytes each; a stream holds a few row groups.

    Args:
        data: A folder that `sousa build` or `sousa import midi` wrote, a Hub id, a
            `datasets.Dataset`, `IterableDataset` or a dict of them; a folder of MidiTok's token
            files, or a `.jsonl` of Aria's tokens.
        column: A column of lists of ids, or of lists of such lists.
        max_seq_len: Tokens of a sequence at most, with BOS, EOS and prefix.
        mode: `truncate`: each row gives one sequence, its start. `window`: as many as it takes.
            `pack`: windows of all rows are put together until sequences are full.
        stride: From one window's start to the next one's; None begins it where the last one ends.
            Windows begin at or before it, where an event does.
        bos: Put before each row: True for the tokenizer's own, an id, or None.
        eos: Put after each row that ends in the sequence: True, an id, or None.
        cut: Where rows may be cut: at an `event`, a `bar`, or any `token`. Events of unknown
            tokenizers may be cut anywhere, and so may what is longer than a sequence.
        prefix: How many tokens of a row's start all of its windows begin with; None for those
            before its first event, such as time signature and tempo, which are the last ones
            before the window. 0 for none.
        split: `train`, `validation` or `test`; None is all.
        config: None takes the one with the least beside the tokens.
        streaming: Read rows when they are needed, in bounded memory; for folders and Hub ids. The
            dataset is then a PyTorch `IterableDataset`, as it is for an `IterableDataset`.
        target: A class or scores to learn beside tokens, see `SOUSADataset`.
        target_column: Another token column, to be decoded from the first; with `truncate`.
        tokenizer: Its file; None takes what is stored with the data. Both must be the same one.
        augment: Changes each row in each epoch.
        transform: Called with each sample; or a list of such functions.
        on_error: `raise`, or `skip` for leaving out files that cannot be read.
        revision: Of a Hub id.
        token: Of the Hub; None takes what `huggingface_hub` finds.

    Attributes:
        vocabulary: The tokenizer's; None where none is known.
        reading: How a column becomes sequences.

    Raises:
        ValueError: If an argument is not as above, ids are not the tokenizer's, or the data holds
            no such split, config or column.
        TypeError: If `data` is nothing of the kind.
        FileNotFoundError: If it is not there.
        BrokenRowError: If a file cannot be opened.
    """

    def __init__(  # noqa: PLR0913 - what a user can ask for
        self,
        data: Data,
        column: str = "tokens",
        max_seq_len: int = 1024,
        mode: str = "truncate",
        stride: int | None = None,
        *,
        bos: bool | int | None = None,
        eos: bool | int | None = None,
        cut: str = "event",
        prefix: int | None = None,
        split: str | None = None,
        config: str | None = None,
        streaming: bool = False,
        target: str | Sequence[str] | None = None,
        target_column: str | None = None,
        tokenizer: Any = None,
        augment: Augmentation | None = None,
        transform: Transform | Sequence[Transform] | None = None,
        on_error: str = "raise",
        revision: str | None = None,
        token: str | None = None,
    ) -> None:
        check_choice(mode, "mode", MODES)
        check_choice(cut, "cut", CUTS)
        check_choice(on_error, "on_error", ON_ERROR)
        check_flag(streaming, "streaming")
        check_windows(mode, stride, target_column)
        learnt = None if target is None else Target.of(target)
        columns = (*IDENTITY[:1], *(learnt.columns if learnt else ()))
        more = (*columns, *([] if target_column is None else [target_column]))
        at = At(revision, token)
        skip = on_error == "skip"
        opened = open_tokens(
            data, TokensWanted(column, more, split, config, streaming, at, skip_broken=skip)
        )
        self.column = column
        self.on_error = on_error
        self.vocabulary = chosen_vocabulary(opened.vocabulary, tokenizer, column)
        check_augment(augment, self.vocabulary)
        rows = opened.rows.deciding(skip_broken=skip) if hasattr(opened.rows, "deciding") else None
        self._rows: Source | Streamed = rows or opened.rows
        self.reading = Reading(column, self.vocabulary, learnt, target_column, opened.rows.declared)
        window = whole(max_seq_len, "max_seq_len", 2), mode, stride, cut
        rules = chosen_rules(self.vocabulary, window, bos, eos, prefix)
        super().__init__(rules, augment, transform)
        self._open()

    def __new__(cls, data: Any = None, *_: Any, streaming: bool = False, **__: Any) -> Any:
        """Return a dataset that PyTorch knows to iterate, where rows have no numbers."""
        iterated = cls is TokenDataset and (streaming is True or is_stream(data))
        return super().__new__(TokenStream if iterated else cls)

    def _open(self) -> None:
        """Read the tokens of all rows."""
        rows = cast("Source", self._rows)
        self._chunk = self.reading.stored(rows, self.rules, skip=self.on_error == "skip")
        self.layout = Layout((len(self._chunk),))

    @property
    def stream(self) -> Streamed | None:
        """Rows one after the other; None where sequences have numbers."""
        return None

    @property
    def accounting(self) -> Accounting:
        """What became of every token; of a stream, of those that were read in this pass."""
        return self._chunk.sequences.accounting

    @property
    def broken(self) -> tuple[BrokenRow, ...]:
        """Files that could not be read, with `on_error="skip"`."""
        return tuple(self._rows.broken)

    def __len__(self) -> int:
        return len(self._chunk)

    def __getitem__(self, index: int) -> Sample:
        """Return one sample; a negative index counts from the end.

        Raises:
            IndexError: If there is no such sequence.
        """
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        """Return the samples of a batch.

        Raises:
            IndexError: If there is no such sequence.
        """
        return self.samples(self._chunk, self._numbers(indices), self.epoch)

    def _numbers(self, indices: Sequence[int]) -> list[int]:
        """Return which sequences are meant; a negative index counts from the end."""
        size = len(self)
        for index in indices:
            if not -size <= index < size:
                raise IndexError(f"index must be in [{-size}, {size}), got {index}")
        return [index % size for index in indices]

    def pair(self, index: int) -> Pair:
        """Return a sequence as what a model reads and what it shall say.

        Raises:
            IndexError: If there is no such sequence.
        """
        return pair_of(self._chunk.drawn(self._numbers([index]), self.augment, self.epoch))

    def chunk(self) -> TokenChunk:
        """Return all rows; of a stream, those that were read last and gave sequences."""
        return self._chunk

    def detached(self) -> "TokenDataset":
        """Return this dataset as workers need it."""
        return self

    def fingerprint(self) -> str:
        """Return a hash that tells other tokens, another tokenizer, or sequences cut otherwise."""
        return self.reading.fingerprint(self.rules, self.augment, self._content())

    def _content(self) -> str:
        return f"{self._chunk.sequences.rows.crc():08x}"


class TokenStream(TokenDataset, IterableDataset[Sample]):
    """A `TokenDataset` that is iterated: `TokenDataset` makes one of a stream.

    A plain PyTorch DataLoader may have it; each of its workers then yields its share.
    """

    def _open(self) -> None:
        self._accounting = Accounting()
        if hasattr(self._rows, "column"):
            raise ValueError(
                "streaming=True is for folders, Hub ids and IterableDatasets: leave it out, or "
                "pass to_iterable_dataset() of this one"
            )

    @property
    def stream(self) -> Streamed:
        """Rows one after the other."""
        return cast("Streamed", self._rows)

    @property
    def accounting(self) -> Accounting:
        """What became of every token that was read since the last pass began."""
        return self._accounting

    @property
    def length(self) -> None:
        """Nobody knows how many sequences there are."""

    def __len__(self) -> int:
        raise TypeError("nobody knows how many sequences a stream gives before it was read")

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        """Refuse numbers.

        Raises:
            TypeError: Always.
        """
        raise TypeError(NO_NUMBERS)

    def pair(self, index: int) -> Pair:  # noqa: ARG002 - of no use here
        """Refuse a number.

        Raises:
            TypeError: Always.
        """
        raise TypeError(NO_NUMBERS)

    def begin(self) -> None:
        """Count tokens from here on."""
        self._accounting = Accounting()

    def made(self, window: Any) -> TokenChunk:
        """Return the sequences of a window of rows, and count their tokens."""
        chunk = self.reading.chunk(window.table, window.rows, self.rules)
        self._accounting += chunk.sequences.accounting
        if len(chunk):
            self._chunk = chunk
        return chunk

    def __iter__(self) -> Iterator[Sample]:
        """Yield all samples in stored order."""
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        self.begin()
        count = 0
        for window in self.stream.windows(0, 0, shuffle=False):
            chunk = self.made(window)
            for start in range(0, len(chunk), READ_AT_ONCE):
                numbers = range(start, min(start + READ_AT_ONCE, len(chunk)))
                mine = [each for each in numbers if (count + each) % step == first]
                if mine:
                    yield from self.samples(chunk, mine, self.epoch)
            count += len(chunk)

    def _content(self) -> str:
        return self.stream.fingerprint()
