"""Train a small network to hear how skilled a drummer is; test it on players it never heard.

    python examples/train_skill.py DATA [--epochs 30] [--device auto] [--picture confusion.png]

DATA is a folder that `sousa build` wrote, or a Hub id. Skill is in the timing, not in the sound of
a drum, so the network sees rhythm alone: where energy rises, and how well that fits itself some
time later. An even player's strokes meet their own copies; a beginner's come near them.
"""

import argparse
import math

import matplotlib as mpl
import torch
from torch import Tensor, nn

mpl.use("Agg")
import matplotlib.pyplot as plt

from sousa.loaders import SKILL_TIER_LABELS, Loader, SOUSADataset, create_dataloader

SPLITS = ("train", "validation", "test")
TIERS = len(SKILL_TIER_LABELS)
RATE_HZ = 16_000
WINDOW, HOP = 512, 80  # a frame each 5 ms
MEL_BANDS = 40
RISE = 4  # frames over which energy rises: 20 ms, the attack of a stroke
LAGS = 300  # frames by which the rhythm is shifted against itself: 1.5 s


def mel_filters() -> Tensor:
    """Return triangular filters, `(mel bands, frequencies)`, even on O'Shaughnessy's mel scale."""
    top_mel = 2595 * math.log10(1 + RATE_HZ / 2 / 700)
    edges_hz = 700 * (10 ** (torch.linspace(90, top_mel, MEL_BANDS + 2)[:, None] / 2595) - 1)
    low, centre, high = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    frequency = torch.linspace(0, RATE_HZ / 2, WINDOW // 2 + 1)
    up, down = (frequency - low) / (centre - low), (high - frequency) / (high - centre)
    return torch.minimum(up, down).clamp(min=0)


class RhythmNet(nn.Module):
    """Waveforms `(B, T)` to a score for each tier, `(B, TIERS)`."""

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        self.register_buffer("filters", mel_filters())
        self.register_buffer("window", torch.hann_window(WINDOW))
        layers: list[nn.Module] = []
        for inputs in (1, channels, channels):
            layers += [nn.Conv1d(inputs, channels, 9, padding=4), nn.BatchNorm1d(channels)]
            layers += [nn.ReLU(), nn.MaxPool1d(2)]
        self.convolutions = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(2 * channels, TIERS))

    def rhythm(self, waveforms: Tensor) -> Tensor:
        """Return how well each clip's onsets fit themselves at each lag, `(B, 1, LAGS)`."""
        spectrum = torch.stft(waveforms, WINDOW, HOP, window=self.window, return_complex=True)
        level = torch.log10(1e-3 + self.filters @ spectrum.abs())
        rise = (level[..., RISE:] - level[..., :-RISE]).clamp(min=0)
        onsets = rise.mean(dim=1, keepdim=True).sqrt()
        onsets = onsets - onsets.mean(dim=-1, keepdim=True)
        power = torch.fft.rfft(onsets, 2 * onsets.shape[-1]).abs() ** 2
        fit = torch.fft.irfft(power)[..., :LAGS]  # the autocorrelation, by Wiener and Khinchin
        return fit / fit[..., :1].clamp(min=1e-9)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Score the tiers, by what fits everywhere and what fits best."""
        found = self.convolutions(self.rhythm(waveforms))
        return self.head(torch.cat([found.mean(dim=2), found.amax(dim=2)], dim=1))


def load(split: str, args: argparse.Namespace) -> Loader:
    return create_dataloader(
        SOUSADataset(args.data, split, "skill_tier", RATE_HZ),
        args.batch_size,
        stratify="skill_tier" if split == "train" else None,
        fixed_length=5 * RATE_HZ,
        seed=args.seed,
        device=args.device,
    )


def train(model: nn.Module, loader: Loader, validation: Loader, epochs: int) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, epochs * len(loader))
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    for epoch in range(1, epochs + 1):
        model.train()
        total = 0.0
        for batch in loader:
            optimizer.zero_grad()
            loss = criterion(model(batch["waveforms"]), batch["labels"])
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach())
        accuracy = share_right(confusion(model, validation))
        print(f"epoch {epoch:2}  loss {total / len(loader):.3f}  validation {accuracy:.0%}")


@torch.no_grad()
def confusion(model: nn.Module, loader: Loader) -> Tensor:
    """Return how many clips of each tier (row) were taken for each tier (column)."""
    model.eval()
    counts = torch.zeros(TIERS, TIERS, dtype=torch.int64)
    for batch in loader:
        pairs = batch["labels"] * TIERS + model(batch["waveforms"]).argmax(dim=1)
        counts += torch.bincount(pairs.cpu(), minlength=TIERS**2).view_as(counts)
    return counts


def share_right(counts: Tensor, within: int = 0) -> float:
    """Return the share of clips whose tier was guessed, give or take some tiers."""
    return float(counts.triu(-within).tril(within).sum() / counts.sum())


def draw(counts: Tensor, path: str) -> None:
    figure, axes = plt.subplots(figsize=(5.2, 4.6), layout="constrained")
    axes.imshow(counts.numpy(), cmap="Blues")
    for row, column in torch.cartesian_prod(torch.arange(TIERS), torch.arange(TIERS)).tolist():
        colour = "white" if counts[row, column] > counts.max() / 2 else "black"
        axes.text(column, row, f"{counts[row, column]}", ha="center", va="center", color=colour)
    axes.set_xticks(range(TIERS), SKILL_TIER_LABELS, rotation=20)
    axes.set_yticks(range(TIERS), SKILL_TIER_LABELS)
    axes.set(xlabel="heard as", ylabel="played by", title=f"{share_right(counts):.0%} right")
    figure.savefig(path)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="folder or Hub id")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", metavar="FILE", help="draw the confusion matrix")
    args = parser.parse_args(argv)
    if args.device == "auto":
        args.device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(args.seed)
    try:
        training, validation, test = (load(split, args) for split in SPLITS)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    model = RhythmNet().to(args.device)
    train(model, training, validation, args.epochs)
    counts = confusion(model, test)
    print(f"{counts.sum()} clips of players never heard before: {share_right(counts):.0%} right")
    print(f"(chance {1 / TIERS:.0%}), {share_right(counts, within=1):.0%} within one tier")
    if args.picture:
        draw(counts, args.picture)


if __name__ == "__main__":
    main()
