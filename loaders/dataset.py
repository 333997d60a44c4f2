"""Clips and labels by index, ready for PyTorch."""

import copy
import math
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, Final, SupportsFloat

import numpy as np
import pyarrow as pa
import torch
from torch.utils.data import Dataset

from sousa.loaders.classes import classes_of
from sousa.loaders.decode import Wave, decode, normalize
from sousa.loaders.errors import BrokenRow, BrokenRowError
from sousa.loaders.layout import Indices
from sousa.loaders.rows import AUDIO
from sousa.loaders.source import Data, open_source
from sousa.loaders.targets import Target

Sample = dict[str, Any]
Transform = Callable[[torch.Tensor], torch.Tensor]

IDENTITY: Final = ("sample_id", "skill_tier", "rudiment_slug", "tempo_bpm")
"""Columns that every sample carries, whatever the target."""

ON_ERROR: Final = ("raise", "skip")

REPORT: Final = "report"
"""What our loader asks for: batches with broken rows in them, for it to decide about."""


class SOUSADataset(Dataset[Sample]):
    """Clips of drum performances with their labels.

    A sample is a dict: `waveform` `(T,)` float32, `label` (an int for classes, else a float32
    tensor, `()` or `(k,)`), `label_mask` (bool, the shape of the label, False where a score does
    not apply), `sample_id`, `skill_tier` and `rudiment_slug` as names, `tempo_bpm`.

    The order of work is: decode, mono, resample, peak-normalise, truncate, transform.

    Args:
        data_dir: A folder that `sousa build` wrote, a Hub id `org/name`, or a `datasets.Dataset`
            (or `DatasetDict`) that you have filtered, shuffled or concatenated as you like.
        split: `train`, `validation` or `test`; None is all that are there, in that order.
        target: `skill_tier`, `skill_tier_binary`, `rudiment_slug`, a score, or a list of scores.
            Classes are ids by the schema. Scores are scaled to [0, 1]; a missing one is NaN.
        resample_rate: Sample rate of the waveforms in Hz; None keeps the stored one.
        max_length_sec: Waveforms are cut to this many seconds; None keeps them whole.
        transform: Called with each waveform `(T,)`, last; returns what `waveform` shall be.
        normalize_audio: Scale each clip to a peak of 1.
        config: Which audio to read. None takes `audio_16k` for 16 kHz where it is there, else
            `audio`; both give the same samples up to 16-bit rounding.
        streaming: Reserved for the next version.
        on_error: `raise` stops at a broken row, with its file, row, sample_id and cause. `skip`
            leaves it out of batches, and files that cannot be opened out of the dataset.

    Attributes:
        num_classes: Classes of the target by the schema, whatever rows there are; None for scores.
        broken: Files that could not be read, with `on_error="skip"`.

    Raises:
        ValueError: If an argument is not as above, or the data holds no such split or column.
        TypeError: If `data_dir` or `transform` is of another type.
        FileNotFoundError: If there is no such folder.
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
    ) -> None:
        if streaming:
            raise ValueError("streaming comes with the next version; for now leave out streaming=")
        check_positive(resample_rate, "resample_rate")
        check_positive(max_length_sec, "max_length_sec")
        if transform is not None and not callable(transform):
            raise TypeError(f"transform must be a function or None, got {transform!r}")
        self.on_error = check_on_error(on_error)
        self._target = Target.of(target)
        self._rate_hz = resample_rate
        self._max_sec = max_length_sec
        self._transform = transform
        self._normalize = normalize_audio
        columns = tuple(dict.fromkeys((*IDENTITY, *self._target.columns, AUDIO)))
        self._source = open_source(
            data_dir, split, config, resample_rate, columns, skip_broken=on_error == "skip"
        )
        self.layout = self._source.layout
        self.num_classes = self._target.num_classes

    def __len__(self) -> int:
        return self.layout.rows

    @property
    def broken(self) -> tuple[BrokenRow, ...]:
        """Files that could not be read, with `on_error="skip"`."""
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

    def __getitems__(self, indices: Sequence[int]) -> list[Sample | BrokenRow]:
        """Return the samples of a batch; with `on_error="skip"` without the broken ones."""
        found = self.fetch(indices)
        for row in found:
            if isinstance(row, BrokenRow) and self.on_error == "raise":
                raise BrokenRowError(row)
        if self.on_error == REPORT:
            return found
        return [row for row in found if not isinstance(row, BrokenRow)]

    def fetch(self, indices: Sequence[int]) -> list[Sample | BrokenRow]:
        """Return the samples of a batch, and in place of a broken one what is wrong with it.

        Raises:
            IndexError: If there is no such row.
        """
        rows = len(self)
        for index in indices:
            if not -rows <= index < rows:
                raise IndexError(f"index must be in [{-rows}, {rows}), got {index}")
        wanted = [index % rows for index in indices]
        pairs = zip(wanted, self._source.rows(wanted), strict=True)
        return [row if isinstance(row, BrokenRow) else self._sample(at, row) for at, row in pairs]

    def _sample(self, index: int, row: dict[str, Any]) -> Sample | BrokenRow:
        declared = self._source.declared
        try:
            wave = self._waveform(row[AUDIO])
            label, mask = self._target.label(row, declared)
            named = {name: declared.name(name, row[name]) for name in IDENTITY[:3]}
            if nulls := [name for name, value in named.items() if value is None]:
                raise ValueError(f"{', '.join(nulls)} is null")
            tempo_bpm = plain(row["tempo_bpm"])
        except ValueError as error:
            return BrokenRow(*self._source.where(index), row["sample_id"], str(error))
        waveform = torch.from_numpy(wave)
        return {
            "waveform": self._transform(waveform) if self._transform else waveform,
            "label": label,
            "label_mask": mask,
            **named,
            "tempo_bpm": tempo_bpm,
        }

    def _waveform(self, clip: Any) -> Wave:
        # The peak is that of the whole clip, so only an unscaled waveform may be decoded in part.
        needed = None if self._normalize else self._max_sec
        wave, rate_hz = decode(clip, self._rate_hz, self._source.declared.rate_hz, needed)
        if self._normalize:
            wave = normalize(wave)
        if self._max_sec is not None:
            wave = wave[: round(self._max_sec * rate_hz)]
        return np.ascontiguousarray(wave)

    def reporting(self) -> "SOUSADataset":
        """Return this dataset, with what is wrong with broken rows in their place in batches."""
        reporting = copy.copy(self)
        reporting.on_error = REPORT
        return reporting

    def deciding(self, on_error: str) -> "SOUSADataset":
        """Return this dataset with another choice about what is broken.

        Raises:
            ValueError: If `on_error` is not known.
            BrokenRowError: If files were left out that may not be.
        """
        deciding = copy.copy(self)
        deciding.on_error = check_on_error(on_error)
        if on_error == "raise" and self.broken:
            raise BrokenRowError(self.broken[0])
        return deciding

    def blank(self) -> Sample:
        """Return a sample of no length, which gives an empty batch its types and shapes."""
        return {
            "waveform": torch.empty(0),
            "label": self._target.missing,
            "label_mask": torch.zeros(self._target.shape, dtype=torch.bool),
            **dict.fromkeys(IDENTITY),
        }

    def classes(self, column: str) -> tuple[Indices, list[str]]:
        """Return the class of every row, by a label column or any column of strings.

        Returns:
            Positions in a list of names, and that list; see `classes_of`.
        """
        return classes_of(self._source, column, skip_broken=self.on_error == "skip")

    def fingerprint(self) -> str:
        """Return a hash of the sample ids in stored order and of how the rows lie."""
        stored, _ = self._source.column("sample_id", skip_broken=self.on_error == "skip")
        if pa.types.is_string(stored.type):
            stored = stored.cast(pa.binary())  # which may be no UTF-8
        described = repr((self.layout, stored.to_pylist()))
        return blake2b(described.encode(), digest_size=8).hexdigest()


def plain(tempo_bpm: float | None) -> int | float | None:
    """Return a tempo as people write it: 120, 112.5.

    Raises:
        ValueError: If it is infinite or NaN.
    """
    if tempo_bpm is None:
        return None
    if not math.isfinite(tempo_bpm):
        raise ValueError(f"tempo_bpm is {tempo_bpm}")
    return int(tempo_bpm) if tempo_bpm == int(tempo_bpm) else tempo_bpm


def check_positive(value: Any, name: str) -> None:
    """Refuse what is neither None nor a number above 0.

    Raises:
        ValueError: If it is not.
    """
    if value is None:
        return
    if (
        isinstance(value, bool)
        or not isinstance(value, SupportsFloat)
        or not 0 < float(value) < math.inf
    ):
        raise ValueError(f"{name} must be a number above 0 or None, got {value!r}")


def check_on_error(on_error: str) -> str:
    """Return `on_error` if it is known.

    Raises:
        ValueError: If it is not.
    """
    if on_error not in ON_ERROR:
        raise ValueError(f"on_error must be one of {', '.join(ON_ERROR)}, got {on_error!r}")
    return on_error
