"""16-bit clips become the batch on any device: convert, resample, normalise, cut."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv1d, pad

from sousa.loaders.filters import Filters, Wave, sinc_filters, soxr_filters
from sousa.loaders.resample import check_resampler, resampled_length

Finished = tuple[Tensor, Tensor, Tensor]
"""Waveforms float32 `(B, T)`, lengths int64 `(B,)`, attention mask bool `(B, T)`."""


@dataclass(frozen=True)
class Finish:
    """What is left to do with 16-bit clips, in the order in which the CPU would do it.

    Attributes:
        from_hz: Rate of the clips.
        to_hz: Rate of the batch; None keeps that of the clips.
        resampler: One of `RESAMPLERS`.
        normalize: Whether each clip is scaled to a peak of 1, before it is cut.
        fixed_length: Samples of every waveform of the batch; None is the longest clip's.
        max_length: Samples that a clip keeps, after resampling; None keeps all.

    Raises:
        ValueError: If there is no such resampler, or no such filter for the device.
    """

    from_hz: int
    to_hz: int | None = None
    resampler: str = "soxr"
    normalize: bool = True
    fixed_length: int | None = None
    max_length: int | None = None

    def __post_init__(self) -> None:
        check_resampler(self.resampler)
        self.filters()  # what cannot be resampled is refused here, not in the middle of an epoch

    def filters(self) -> Filters | None:
        """Return the resampler's weights; None where the rate stays."""
        if self.to_hz is None or self.to_hz == self.from_hz:
            return None
        measure = soxr_filters if self.resampler == "soxr" else sinc_filters
        return measure(self.from_hz, self.to_hz)

    @torch.no_grad()
    def __call__(self, waveforms: Tensor, lengths: Tensor) -> Finished:
        """Return waveforms, lengths and attention mask, all on the device of the clips.

        What lies beyond a clip's length is not read, and is zero in the result. Nothing here waits
        for the device.

        Args:
            waveforms: int16 `(B, T)`, T the longest clip's.
            lengths: int64 `(B,)`, samples of each clip, on the same device.
        """
        bank = self.filters()
        clips = waveforms.masked_fill(~valid(lengths, waveforms.shape[1]), 0)
        if bank is None:
            found = clips.to(torch.float32) * (1 / 32768)
        else:
            found = resampled(clips, bank)
            lengths = self.resampled_lengths(lengths)
            found = found[:, : self.resampled_length(clips.shape[1])]
            found = found * valid(lengths, found.shape[1])
        if self.normalize and found.shape[1]:
            peak = found.abs().amax(dim=1, keepdim=True)
            found = found / torch.where(peak > 0, peak, 1)
        return self.cut(found, lengths)

    def resampled_length(self, length: int) -> int:
        """Return how many samples a clip of that length has at the rate of the batch."""
        return resampled_length(length, self.from_hz, self.to_hz or self.from_hz, self.resampler)

    def resampled_lengths(self, lengths: Tensor) -> Tensor:
        """Return `resampled_length` of each, without a look at the values."""
        to_hz = self.to_hz or self.from_hz
        if self.resampler == "soxr":
            return (2 * lengths * to_hz + self.from_hz) // (2 * self.from_hz)
        common = math.gcd(self.from_hz, to_hz)
        up, down = to_hz // common, self.from_hz // common
        rounded = (up * lengths.double() / down).float().ceil().long()
        return rounded.minimum((lengths // down + 1) * up)

    def cut(self, waveforms: Tensor, lengths: Tensor) -> Finished:
        """Return the batch with its clips cut or padded to the lengths that were asked for."""
        limits = [length for length in (self.fixed_length, self.max_length) if length is not None]
        limit = min([*limits, waveforms.shape[1]])
        size = limit if self.fixed_length is None else self.fixed_length
        waveforms, lengths = waveforms[:, :limit], lengths.clamp(max=limit)
        return pad(waveforms, (0, size - limit)), lengths, valid(lengths, size)


def valid(lengths: Tensor, size: int) -> Tensor:
    """Return bool `(B, size)`, true within each clip."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def resampled(clips: Tensor, bank: Filters) -> Tensor:
    """Return 16-bit clips, `(B, T)`, as whole blocks at the other rate, float32 `(B, >= T')`.

    Graphics cards may multiply in TF32, with 11 significant bits, whatever is set where. So each
    sample is given as its upper and its lower byte, and each weight as two parts: their products
    are what float32 would have made of them.
    """
    blocks = clips.shape[1] // bank.down + 1
    size = max((blocks - 1) * bank.down + bank.after, len(bank.head))
    sides = (bank.before, max(size - clips.shape[1], 0))
    upper, lower = (clips >> 8).float() * (1 / 128), (clips & 255).float() * (1 / 32768)
    parts = pad(torch.stack([upper, lower], dim=1), sides)
    found = torch.empty(len(clips), blocks, bank.up, device=clips.device)
    head, *groups = weights_on(bank, clips.device)
    with torch.autocast(clips.device.type, enabled=False):
        for (first, start, weights), split in zip(bank.groups(), groups, strict=True):
            end = start + (blocks - 1) * bank.down + len(weights)
            made = filtered(parts[..., start:end], split, bank.down)
            found[..., first : first + weights.shape[1]] = made
        found = found.flatten(1)
        if bank.head.size:
            inputs, outputs = bank.head.shape
            made = filtered(parts[..., bank.before : bank.before + inputs], head)[:, 0]
            found[:, :outputs] = made[:, : found.shape[1]]
    return found


def filtered(parts: Tensor, weights: Tensor, step: int = 1) -> Tensor:
    """Return weighted sums, `(B, places, outputs)`, of bytes `(B, 2, T)` at places a step apart."""
    upper, lower = conv1d(parts, weights, stride=step).chunk(2, dim=1)
    return (upper + lower).transpose(1, 2)


@lru_cache(maxsize=16)
def weights_on(bank: Filters, device: torch.device) -> tuple[Tensor, ...]:
    """Return a resampler's weights for a clip's start and for each group, on a device.

    Each is `(2 * outputs, 2, inputs)`: the upper 11 bits, then what they leave, for either byte.
    """
    return tuple(
        torch.from_numpy(np.hstack(halves(weights)).T[:, None].repeat(2, axis=1)).to(device)
        for weights in (bank.head, *bank.weights)
    )


def halves(weights: Wave) -> tuple[Wave, Wave]:
    """Return the part of each weight that TF32 can hold, and the rest."""
    upper = (weights.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)
    return upper, weights - upper
