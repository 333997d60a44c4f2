"""Jobs become batches: rows are picked, decoded, and written into memory that is used again."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from sousa.loaders.buffers import Buffers
from sousa.loaders.chunks import Pick
from sousa.loaders.collate import Batch, emptied
from sousa.loaders.dataset import SOUSADataset
from sousa.loaders.decode import Cut
from sousa.loaders.errors import BrokenRow
from sousa.loaders.padded import write_floats, write_rows, write_steps
from sousa.loaders.samples import Sample
from sousa.loaders.sound import Sound

Collate = Callable[[Sequence[Sample]], Batch]
Pairs = Iterable[tuple[Pick | BrokenRow, Cut | None]]


class Job(NamedTuple):
    """A batch that is to be made.

    Attributes:
        rows: Row numbers, or none, where rows were read from a stream:
        picks: Those rows.
        cuts: Which part of each clip; nothing for whole clips.
    """

    rows: Sequence[int] = ()
    picks: Sequence[Pick | BrokenRow] = ()
    cuts: Sequence[Cut] = ()


class Fetched(NamedTuple):
    """A batch as it comes from where it was made; a tuple, so that PyTorch pins what is in it.

    Attributes:
        batch: What the collator made.
        clips: How many clips are in it.
        broken: The rows that are not.
        nbytes: Bytes of the encoded clips.
        samples: Samples of audio in it; 0 where a collator of the user's own made it.
        size: Samples in it with those of padding; 0 likewise.
        decode_sec: How long a thread or process took to make it.
    """

    batch: Batch
    clips: int
    broken: list[BrokenRow]
    nbytes: int = 0
    samples: int = 0
    size: int = 0
    decode_sec: float = 0.0


@dataclass
class Maker:
    """Makes batches, in any thread or process.

    Attributes:
        dataset: What to read, and how.
        collate: Makes a batch of samples; None leaves that to us, without samples in between.
        fixed_length: Samples of every waveform; None pads to the longest of a batch.
        batch_transform: Called with each batch, last; returns what shall be the batch.
        int16: Whether waveforms stay as they are stored, for a device to finish.
        buffers: Memory for batches.
    """

    dataset: SOUSADataset
    collate: Collate | None = None
    fixed_length: int | None = None
    batch_transform: Callable[[Batch], Batch] | None = None
    int16: bool = False
    buffers: Buffers = field(default_factory=Buffers)

    def __call__(self, job: Job) -> Fetched:
        """Return the batch of what is not broken."""
        started = time.perf_counter()
        picks = self.dataset.pick(job.rows) if job.rows else job.picks
        cuts: Sequence[Cut | None] = job.cuts or [None] * len(picks)
        pairs = zip(picks, cuts, strict=True)
        collate = self.collate
        made = self._written(pairs) if collate is None else self._collated(pairs, collate)
        if self.batch_transform is not None:
            made = made._replace(batch=self.batch_transform(made.batch))
        return made._replace(decode_sec=time.perf_counter() - started)

    def _collated(self, pairs: Pairs, collate: Collate) -> Fetched:
        """Return the batch that a collator makes of samples."""
        samples: list[Sample] = []
        broken: list[BrokenRow] = []
        nbytes = 0
        for pick, cut in pairs:
            found = self.dataset.samples.sound(pick, cut)
            if isinstance(found, BrokenRow):
                broken.append(found)
            elif isinstance(pick, Pick):
                samples.append(self.dataset.samples.of(found, pick))
                nbytes += found.nbytes
        batch = collate(samples) if samples else emptied(collate([self.dataset.samples.blank()]))
        return Fetched(batch, len(samples), broken, nbytes, *filling(batch))

    def _written(self, pairs: Pairs) -> Fetched:
        """Return the batch that our collators would make, each clip written straight into it."""
        sounds: list[Sound] = []
        whole: list[Pick] = []
        broken: list[BrokenRow] = []
        for pick, cut in pairs:
            found = self.dataset.samples.sound(pick, cut)
            if isinstance(found, BrokenRow):
                broken.append(found)
            elif isinstance(pick, Pick):
                sounds.append(found)
                whole.append(pick)
        batch = self._audio(sounds)
        nbytes = sum(sound.nbytes for sound in sounds)
        return Fetched(
            batch | self.dataset.samples.described(whole),
            len(whole),
            broken,
            nbytes,
            *filling(batch),
        )

    def _audio(self, sounds: Sequence[Sound]) -> Batch:
        """Return waveforms, lengths and mask, all in one piece of memory."""
        waves = self.dataset.samples.waves
        lengths = [len(sound.samples) if self.int16 else waves.length(sound) for sound in sounds]
        if self.fixed_length and not self.int16:
            lengths = [min(length, self.fixed_length) for length in lengths]
        longest = (
            max(lengths, default=0) if self.int16 else self.fixed_length or max(lengths, default=0)
        )
        shape = len(sounds), longest
        dtype = np.dtype(np.int16 if self.int16 else np.float32)
        size = len(sounds) * longest
        memory = self.buffers.memory(size * (dtype.itemsize + 1))
        waveforms = memory[: size * dtype.itemsize].view(dtype).reshape(shape)
        mask = memory[size * dtype.itemsize :][:size].view(np.bool_).reshape(shape)
        if self.int16:
            write_rows(write_steps, sounds, lengths, waveforms, mask)
        else:
            write_floats(waves, sounds, lengths, waveforms, mask)
        return {
            "waveforms": torch.from_numpy(waveforms),
            "lengths": torch.tensor(lengths, dtype=torch.int64),
            "attention_mask": torch.from_numpy(mask),
        }


def filling(batch: Batch) -> tuple[int, int]:
    """Return how many samples of audio a batch has, and how many with padding, if it tells."""
    if not isinstance(batch, dict) or not {"waveforms", "lengths"} <= batch.keys():
        return 0, 0
    waveforms, lengths = batch["waveforms"], batch["lengths"]
    if not isinstance(waveforms, torch.Tensor) or not isinstance(lengths, torch.Tensor):
        return 0, 0
    return int(lengths.sum()), waveforms.numel()
