"""Rows become samples, and what a batch says about them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from sousa.loaders.chunks import Chunk, Pick
from sousa.loaders.decode import Cut
from sousa.loaders.errors import BrokenRow
from sousa.loaders.labelling import IDENTITY, Labels, labelled
from sousa.loaders.rows import Declared
from sousa.loaders.sound import Sound
from sousa.loaders.targets import Target
from sousa.loaders.waves import Waves

Sample = dict[str, Any]
Transform = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Samples:
    """How samples are made of rows.

    Attributes:
        target: What is learnt.
        declared: What is declared about the columns.
        waves: How waveforms are made.
        transform: Called with each waveform, last.
    """

    target: Target
    declared: Declared
    waves: Waves
    transform: Transform | None = None

    def sound(self, pick: Pick | BrokenRow, cut: Cut | None = None) -> Sound | BrokenRow:
        """Return the decoded clip of a row whose labels can be used, or what is wrong with it."""
        if isinstance(pick, BrokenRow):
            return pick
        chunk, row = pick
        if cut is None and (known := chunk.sounds.get(row)):
            return known
        labels = self._labels(chunk)
        cause = labels.broken.get(row)
        if cause is None:
            try:
                sound = self.waves.sound(chunk.clips[row], cut)
            except (OSError, ValueError) as error:
                cause = str(error)
            else:
                if cut is None and sound.lent:
                    chunk.sounds[row] = sound
                return sound
        return BrokenRow(*chunk.places.where(row), labels.sample_ids[row], cause)

    def sample(self, pick: Pick | BrokenRow) -> Sample | BrokenRow:
        """Return the sample of a row, or what is wrong with it."""
        if isinstance(pick, BrokenRow):
            return pick
        sound = self.sound(pick)
        return sound if isinstance(sound, BrokenRow) else self.of(sound, pick)

    def of(self, sound: Sound, pick: Pick) -> Sample:
        """Return the sample of a row whose clip was decoded."""
        labels, row = self._labels(pick.chunk), pick.row
        waveform = self._transformed(torch.from_numpy(self.waves.waveform(sound)), pick)
        label = labels.labels[row]
        return {
            "waveform": waveform,
            "label": label if self.target.is_class else torch.tensor(label),
            "label_mask": self.target.mask(torch.tensor(label)),
            "sample_id": labels.sample_ids[row],
            "skill_tier": labels.skill_tiers[row],
            "rudiment_slug": labels.rudiment_slugs[row],
            "tempo_bpm": labels.tempo_bpms[row],
        }

    def _transformed(self, waveform: torch.Tensor, pick: Pick) -> torch.Tensor:
        if self.transform is None:
            return waveform
        try:
            return self.transform(waveform)
        except Exception as error:
            file, row = pick.chunk.places.where(pick.row)
            error.add_note(f"in the transform of {file}, row {row}")
            raise

    def described(self, picks: Sequence[Pick]) -> dict[str, Any]:
        """Return what a batch says about its rows, beside their audio."""
        rows = [(self._labels(pick.chunk), pick.row) for pick in picks]
        values = [made.labels[row] for made, row in rows]
        labels = torch.tensor(values, dtype=self.target.dtype).reshape(-1, *self.target.shape)
        return {
            "labels": labels,
            "label_mask": self.target.mask(labels),
            "sample_ids": [made.sample_ids[row] for made, row in rows],
            "metadata": {
                "skill_tiers": [made.skill_tiers[row] for made, row in rows],
                "rudiment_slugs": [made.rudiment_slugs[row] for made, row in rows],
                "tempo_bpms": [made.tempo_bpms[row] for made, row in rows],
            },
        }

    def _labels(self, chunk: Chunk) -> Labels:
        if chunk.labels is None:
            chunk.labels = labelled(chunk.table, self.target, self.declared)
        return chunk.labels

    def blank(self) -> Sample:
        """Return a sample of no length, which gives an empty batch its types and shapes."""
        missing = 0 if self.target.is_class else torch.full(self.target.shape, torch.nan)
        return {
            "waveform": torch.empty(0),
            "label": missing,
            "label_mask": torch.zeros(self.target.shape, dtype=torch.bool),
            **dict.fromkeys(IDENTITY),
        }
