"""Clips and labels by index, ready for PyTorch."""

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Final, SupportsIndex

from torch.utils.data import Dataset, IterableDataset, get_worker_info

from sousa.loaders.access import At
from sousa.loaders.checks import (
    check_choice,
    check_flag,
    check_function,
    check_positive,
    check_rate,
)
from sousa.loaders.chunks import Listed, Pick, picks_of
from sousa.loaders.classes import classes_of, known_classes
from sousa.loaders.decode import Decoder
from sousa.loaders.errors import BrokenRow, BrokenRowError
from sousa.loaders.labelling import IDENTITY
from sousa.loaders.layout import Indices, Layout
from sousa.loaders.lengths import lengths_of
from sousa.loaders.resample import check_resampler
from sousa.loaders.rows import AUDIO
from sousa.loaders.samples import Sample, Samples, Transform
from sousa.loaders.source import Data, Source, Wanted, is_stream, open_source
from sousa.loaders.streams import Stream
from sousa.loaders.targets import Target, read_for
from sousa.loaders.waves import Waves

ON_ERROR: Final = ("raise", "skip")

AHEAD: Final = 16
"""Rows that are read at a time when a dataset is iterated."""


class SOUSADataset(Dataset[Sample]):
    """Clips of drum performances with their labels.

    A sample is a dict: `waveform` `(T,)` float32, `label` (an int for classes, else a float32
    tensor, `()` or `(k,)`), `label_mask` (bool, the shape of the label, False where a score does
    not apply), `sample_id`, `skill_tier` and `rudiment_slug` as names, `tempo_bpm`; each of the
    last three is None where the data has no such column.

    The order of work is: decode, mono, resample, peak-normalise, truncate, transform.

    Args:
        data_dir: A folder that `sousa build` wrote, a folder in the original SOUSA layout, a Hub
            id `org/name`, or a `datasets.Dataset`, `IterableDataset` or a dict of them that you
            have filtered, shuffled, mapped or concatenated as you like.
        split: `train`, `validation` or `test`; None is all that are there, in that order.
        target: `skill_tier`, `skill_tier_binary`, `rudiment_slug`, a score, or a list of scores.
            Classes are ids by the schema. Scores are scaled to [0, 1]; a missing one is NaN. Or a
            column that just this data has: of classes (ids by its own names, -100 where a row has
            none), of lists of classes (`(k,)`, 1 for each that a row has), or of numbers, as is.
        resample_rate: Sample rate of the waveforms in Hz; None keeps the stored one.
        max_length_sec: Waveforms are cut to this many seconds; None keeps them whole.
        transform: Called with each waveform `(T,)`, last; returns what `waveform` shall be.
        normalize_audio: Scale each clip to a peak of 1.
        config: Which audio to read. None takes `audio_16k` for 16 kHz where it is there, else
            `audio`; both give the same samples up to 16-bit rounding.
        streaming: Read a Hub id without downloading it first. The dataset is then a PyTorch
            `IterableDataset`, as it is for an `IterableDataset` of yours.
        on_error: `raise` stops at a broken row, with its file, row, sample_id and cause. `skip`
            leaves it out of batches, and files that cannot be opened out of the dataset.
        revision: Of a Hub id: a branch, a tag or a commit; None is the main branch.
        token: Of the Hub; None takes what `huggingface_hub` finds. It is handed to no other
            process: for workers that are spawned and read a stream themselves, log in instead.
        resampler: `soxr` (HQ), or `torchaudio` for what `torchaudio.transforms.Resample` makes.

    Attributes:
        num_classes: Classes of the target by the schema, or by what the data declares, whatever
            rows there are; None for scores and numbers.
        broken: Files that could not be read, with `on_error="skip"`.

    Raises:
        ValueError: If an argument is not as above, or the data holds no such split or column.
        TypeError: If `data_dir` or `transform` is of another type.
        FileNotFoundError: If there is no such folder, or no such dataset or revision on the Hub.
        ConnectionError: If the Hub cannot be reached, and the cache lacks the dataset.
        OSError: If the Hub refuses.
        BrokenRowError: If a file cannot be opened.
    """

    def __init__(  # noqa: PLR0913 - the contract
        self,
        data_dir: Data,
        split: str | None = None,
        target: str | Sequence[str] = "overall_score",
        resample_rate: int | None = 16000,
        max_length_sec: float | None = None,
        transform: Transform | None = None,
        normalize_audio: bool = True,  # noqa: FBT001, FBT002 - the contract
        *,
        config: str | None = None,
        streaming: bool = False,
        on_error: str = "raise",
        resampler: str = "soxr",
        revision: str | None = None,
        token: str | None = None,
    ) -> None:
        check_rate(resample_rate, "resample_rate")
        check_positive(max_length_sec, "max_length_sec")
        check_function(transform, "transform")
        check_flag(normalize_audio, "normalize_audio")
        check_flag(streaming, "streaming")
        check_choice(on_error, "on_error", ON_ERROR)
        self.on_error = on_error
        check_resampler(resampler)
        columns = tuple(dict.fromkeys((*read_for(target), *IDENTITY, AUDIO)))
        skip = on_error == "skip"
        wanted = Wanted(split, config, resample_rate, streaming, At(revision, token))
        source = open_source(data_dir, wanted, columns, skip_broken=skip)
        self._source = source.deciding(skip_broken=skip) if isinstance(source, Stream) else source
        declared = source.declared
        learnt = Target.by(target, declared)
        decoder = Decoder(resample_rate, declared.rate_hz, resampler)
        waves = Waves(decoder, normalize_audio, max_length_sec)
        self.samples = Samples(learnt, declared, waves, transform)
        self.num_classes = learnt.num_classes

    def __new__(cls, data_dir: Any = None, *_: Any, streaming: bool = False, **__: Any) -> Any:
        """Return a dataset that PyTorch knows to iterate, where rows have no numbers."""
        iterated = cls is SOUSADataset and (streaming or is_stream(data_dir))
        return super().__new__(SOUSAStream if iterated else cls)

    @property
    def source(self) -> Source:
        """Rows by index.

        Raises:
            TypeError: If this is a stream.
        """
        if isinstance(self._source, Stream):
            raise TypeError("a stream has no row numbers: iterate it, or use create_dataloader")
        return self._source

    @property
    def stream(self) -> Stream | None:
        """Rows one after the other; None where they have numbers."""
        return self._source if isinstance(self._source, Stream) else None

    @property
    def layout(self) -> Layout:
        """How the rows lie."""
        return self.source.layout

    def __len__(self) -> int:
        if not isinstance(self._source, Stream):
            return self.layout.rows
        if self._source.length is None:
            raise TypeError("nobody knows how many rows this stream has before it was read")
        return self._source.length

    @property
    def broken(self) -> tuple[BrokenRow, ...]:
        """Files, or parts of a stream, that could not be read, with `on_error="skip"`."""
        return tuple(self._source.broken)

    def __getitem__(self, index: int) -> Sample:
        """Return one sample; a negative index counts from the end.

        Raises:
            IndexError: If there is no such row.
            BrokenRowError: If the row is broken.
        """
        found = self.fetch([index])[0]
        if isinstance(found, BrokenRow):
            raise BrokenRowError(found)
        return found

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        """Return the samples of a batch; with `on_error="skip"` without the broken ones."""
        return list(self._whole(self.fetch(indices)))

    def _whole(self, found: Iterable[Sample | BrokenRow]) -> Iterator[Sample]:
        """Yield what is not broken; raise at what is, unless it may be skipped."""
        for row in found:
            if not isinstance(row, BrokenRow):
                yield row
            elif self.on_error == "raise":
                raise BrokenRowError(row)

    def fetch(self, indices: Sequence[int]) -> list[Sample | BrokenRow]:
        """Return the samples of a batch, and in place of a broken one what is wrong with it.

        Raises:
            IndexError: If there is no such row.
        """
        rows = len(self)
        for index in indices:
            if not isinstance(index, SupportsIndex):
                raise TypeError(f"rows have whole numbers, got {index!r}")
            if not -rows <= index < rows:
                raise IndexError(f"index must be in [{-rows}, {rows}), got {index}")
        return [
            self.samples.sample(pick) for pick in self.pick([index % rows for index in indices])
        ]

    def pick(self, indices: Sequence[int]) -> list[Pick | BrokenRow]:
        """Return rows by their numbers, undecoded; broken ones say what is wrong."""
        return self.source.pick(indices)

    def stored(self) -> "SOUSADataset":
        """Return this dataset with waveforms as they are stored, for a device to finish."""
        stored = copy.copy(self)
        waves = Waves(Decoder(None, self.samples.declared.rate_hz), normalize=False)
        stored.samples = replace(self.samples, waves=waves)
        return stored

    def detached(self) -> "SOUSADataset":
        """Return this dataset as workers need it, to whom rows of a stream are handed."""
        if self.stream is None:
            return self
        detached = copy.copy(self)
        del detached._source
        return detached

    def lengths(self) -> Indices:
        """Return the samples that each waveform has at most, int64 `(rows,)`."""
        skip = self.on_error == "skip"
        return lengths_of(self.source, self.samples, skip_broken=skip)

    def deciding(self, on_error: str) -> "SOUSADataset":
        """Return this dataset with another choice about what is broken.

        Raises:
            ValueError: If `on_error` is not known.
            BrokenRowError: If files were left out that may not be.
        """
        deciding = copy.copy(self)
        check_choice(on_error, "on_error", ON_ERROR)
        deciding.on_error = on_error
        if self.stream is not None:
            deciding._source = self.stream.deciding(skip_broken=on_error == "skip")
        elif on_error == "raise" and self.broken:
            raise BrokenRowError(self.broken[0])
        return deciding

    def classes(self, column: str) -> tuple[Indices, list[str]]:
        """Return the class of every row, by a label column or any column of strings.

        Returns:
            Positions in a list of names, and that list; see `classes_of`.
        """
        return classes_of(self.source, column, skip_broken=self.on_error == "skip")

    def known_classes(self, column: str) -> tuple[str, ...]:
        """Return the classes that a column may hold, where the data or the schema says so."""
        return known_classes(self.samples.declared, column)

    def fingerprint(self) -> str:
        """Return a hash that tells other data, or the same rows in other places."""
        return self._source.fingerprint()


class SOUSAStream(SOUSADataset, IterableDataset[Sample]):
    """A `SOUSADataset` that is iterated: `SOUSADataset` makes one of a stream.

    A plain PyTorch DataLoader may have it; each of its workers then yields its share of the rows.
    """

    def __iter__(self) -> Iterator[Sample]:
        """Yield all samples in stored order, broken rows by `on_error`."""
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for pick in islice(self._picks(), first, None, step):
            yield from self._whole([self.samples.sample(pick)])

    def _picks(self) -> Iterator[Pick | BrokenRow]:
        if self.stream is None:
            for first in range(0, len(self), AHEAD):
                yield from self.pick(range(first, min(first + AHEAD, len(self))))
        else:
            for window in self.stream.windows(0, 0, shuffle=False):
                yield from picks_of(window.table, Listed(window.rows))
