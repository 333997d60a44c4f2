"""Train a small language model on tokens of performances; let it play.

    python examples/train_lm.py pretrain DATA RUN [--steps 2000] [--max-seq-len 512] ...
    python examples/train_lm.py finetune DATA RUN --from OTHER_RUN
    python examples/train_lm.py resume RUN
    python examples/train_lm.py generate RUN OUT.mid

DATA is a folder that `sousa build` or `sousa import midi` wrote, or a Hub id. RUN is where
checkpoints go; a run that was killed goes on from the last one with the same bits. `accelerate
launch examples/train_lm.py ...` trains on several devices, `ACCELERATE_USE_CPU=true torchrun
--nproc_per_node 2 examples/train_lm.py ...` in several processes without any. Clips are packed, and
none attends to another. What it generates is held to what decodes.
"""

import argparse
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from sousa.builders.continuing import Continuing
from sousa.builders.tokens import load_tokenizer
from sousa.loaders import Loader, TokenDataset, Vocabulary, create_token_dataloader

CHECKPOINTS = 2  # that are kept
WARM_UP = 0.1  # share of the steps in which the learning rate rises
DECAY = 0.1  # where it ends, as a share of its height


class Refused(Exception):
    """Something that does not fit; its text is one line."""


@dataclass(frozen=True)
class Settings:
    """What a run is; a checkpoint remembers it and goes on with nothing else."""

    data: str
    column: str = "tokens"
    cut: str = "bar"
    max_seq_len: int = 512
    batch_size: int = 16
    steps: int = 2000
    save_every: int = 200
    width: int = 128
    layers: int = 4
    heads: int = 4
    dropout: float = 0.1
    rate: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "save_every", "width", "layers", "heads"):
            if getattr(self, name) < 1:
                raise Refused(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.width % self.heads:
            raise Refused(f"width must be a multiple of heads, got {self.width} and {self.heads}")
        if not 0 <= self.dropout < 1:
            raise Refused(f"dropout must be in [0, 1), got {self.dropout}")


class Block(nn.Module):
    """Attention and a small network, each behind a norm."""

    def __init__(self, own: Settings) -> None:
        super().__init__()
        self.heads, self.dropout = own.heads, own.dropout
        self.norms = nn.ModuleList([nn.LayerNorm(own.width) for _ in range(2)])
        self.mixed = nn.Linear(own.width, 3 * own.width)
        self.out = nn.Linear(own.width, own.width)
        inner = [nn.Linear(own.width, 4 * own.width), nn.GELU()]
        self.network = nn.Sequential(
            *inner, nn.Linear(4 * own.width, own.width), nn.Dropout(own.dropout)
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return `x` `(B, T, width)` with what each place has seen; `mask` tells what it may."""
        parts = self.mixed(self.norms[0](x)).unflatten(-1, (3, self.heads, -1))
        query, key, value = (each.transpose(1, 2) for each in parts.unbind(2))
        dropped = self.dropout if self.training else 0.0
        seen = functional.scaled_dot_product_attention(query, key, value, mask, dropped)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        return x + self.network(self.norms[1](x))


class LanguageModel(nn.Module):
    """Ids `(B, T)` to scores of what follows each, `(B, T, ids)`."""

    def __init__(self, ids: int, own: Settings) -> None:
        super().__init__()
        self.tokens = nn.Embedding(ids, own.width)
        self.places = nn.Embedding(own.max_seq_len, own.width)
        self.blocks = nn.ModuleList([Block(own) for _ in range(own.layers)])
        self.norm = nn.LayerNorm(own.width)
        for embedding in (self.tokens, self.places):
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(self, ids: Tensor, places: Tensor, documents: Tensor) -> Tensor:
        """Score what follows; `documents` `(B, T)` are numbers of clips; each sees but itself."""
        size = ids.shape[1]
        before = torch.ones(size, size, dtype=torch.bool, device=ids.device).tril()
        mask = (documents[:, :, None] == documents[:, None, :]) & before
        x = self.tokens(ids) + self.places(places)
        for block in self.blocks:
            x = block(x, mask[:, None])
        return self.norm(x) @ self.tokens.weight.T


class Run:
    """A training run in a folder.

    Args:
        folder: Where its checkpoints are.
        settings: What it is.
        start: The checkpoint of another run whose weights it begins with.
    """

    def __init__(self, folder: Path, settings: Settings, start: Path | None = None) -> None:
        self.folder, self.settings = folder, settings
        self.accelerator = Accelerator()
        set_seed(settings.seed)
        dataset = self.dataset("train")
        if dataset.vocabulary is None:
            raise Refused(f"{settings.data} has no tokenizers/{settings.column}.json")
        self.vocabulary: Vocabulary = dataset.vocabulary
        self.loader = self.load(dataset)
        if not self.vocabulary.tokens:
            raise Refused(f"{settings.column} has several ids a token; this model takes one")
        model = LanguageModel(self.vocabulary.size, settings)
        if start is not None:
            model.load_state_dict(weights(start, self.vocabulary, settings))
        optimizer = torch.optim.AdamW(
            model.parameters(), settings.rate, betas=(0.9, 0.95), weight_decay=0.1
        )
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        set_seed(settings.seed, device_specific=True)  # what is dropped differs between processes
        self.step = 0

    def dataset(self, split: str) -> TokenDataset:
        """Return the packed clips of a split."""
        return packed(self.settings, split)

    def load(self, dataset: TokenDataset) -> Loader:
        """Return this process's batches."""
        accelerator, own = self.accelerator, self.settings
        return create_token_dataloader(
            dataset,
            own.batch_size,
            seed=own.seed,
            rank=accelerator.process_index,
            world_size=accelerator.num_processes,
            device=accelerator.device,
        )

    def loss(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """Return the sum of the losses of this process's tokens, and how many tokens all have."""
        scores = self.model(batch["input_ids"], batch["position_ids"], batch["document_ids"])
        labels = batch["labels"].flatten()
        total = functional.cross_entropy(scores.flatten(0, 1), labels, reduction="sum")
        return total, self.accelerator.reduce((labels >= 0).sum(), "sum")

    def backward(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """Work out the gradients of the mean over all tokens; return what `loss` returns."""
        total, tokens = self.loss(batch)
        # Gradients are averaged over processes; each token shall count the same.
        self.accelerator.backward(total * self.accelerator.num_processes / tokens)
        return total.detach(), tokens

    def learning_rate(self) -> float:
        """Return the learning rate of the next step: a rise, then a straight line down."""
        done = self.step / max(1, self.settings.steps)
        if done < WARM_UP:
            return self.settings.rate * (self.step + 1) / max(1, WARM_UP * self.settings.steps)
        return self.settings.rate * (1 - (1 - DECAY) * (done - WARM_UP) / (1 - WARM_UP))

    def train(self) -> None:
        """Train from where the run is to its last step."""
        self.model.train()
        while self.step < self.settings.steps:
            for batch in self.loader:
                for group in self.optimizer.param_groups:
                    group["lr"] = self.learning_rate()
                total, tokens = self.backward(batch)
                self.accelerator.clip_grad_norm_(self.model.parameters(), 1.0)
                self.optimizer.step()
                self.optimizer.zero_grad()
                self.step += 1
                last = self.step == self.settings.steps
                if last or self.step % self.settings.save_every == 0:
                    self.save(float(self.accelerator.reduce(total, "sum") / tokens))
                if last:
                    break

    @torch.no_grad()
    def validation(self) -> float | None:
        """Return the mean loss on players never seen, or None where there are none."""
        try:
            loader = self.load(self.dataset("validation"))
        except ValueError:
            return None
        self.model.eval()
        pairs = [self.loss(batch) for batch in loader]
        self.model.train()
        totals, tokens = (torch.stack(each).sum() for each in zip(*pairs, strict=True))
        return float(self.accelerator.reduce(totals, "sum") / tokens)

    def save(self, loss: float) -> None:
        """Write a checkpoint: it is there as a whole, or not at all."""
        name = f"step-{self.step:08d}"
        made, done = self.folder / f".{name}", self.folder / name
        checked = self.validation()
        if self.accelerator.is_main_process:
            shutil.rmtree(made, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        self.accelerator.save_state(str(made))
        self.accelerator.wait_for_everyone()  # each process writes its own random state
        if self.accelerator.is_main_process:
            state = {
                "settings": asdict(self.settings),
                "step": self.step,
                "tokenizer": self.vocabulary.hash,
                "processes": self.accelerator.num_processes,
                "place": self.loader.state_dict(),
            }
            (made / "run.json").write_text(json.dumps(state, indent=1))
            (made / "tokenizer.json").write_text(self.vocabulary.text)
            shutil.rmtree(done, ignore_errors=True)
            made.replace(done)
            for old in checkpoints(self.folder)[:-CHECKPOINTS]:
                shutil.rmtree(old)
        self.accelerator.wait_for_everyone()
        shown = "" if checked is None else f"  validation {checked:.3f}"
        self.accelerator.print(f"step {self.step:6}  loss {loss:.3f}{shown}", flush=True)

    def go_on(self, checkpoint: Path) -> None:
        """Take up a checkpoint, if it is this run's."""
        state = json.loads((checkpoint / "run.json").read_text())
        if state["tokenizer"] != self.vocabulary.hash:
            raise Refused(
                f"{checkpoint} was trained on tokens of another tokenizer "
                f"({state['tokenizer'][:12]}) than {self.settings.data} has now "
                f"({self.vocabulary.hash[:12]})"
            )
        if state["processes"] != self.accelerator.num_processes:
            raise Refused(
                f"{checkpoint} is of {state['processes']} processes, and these are "
                f"{self.accelerator.num_processes}: its bits could not be the same"
            )
        self.loader.load_state_dict(state["place"])
        try:
            self.accelerator.load_state(str(checkpoint))
        except Exception as error:  # each file in it has errors of its own
            raise Refused(f"{checkpoint} is damaged: {one_line(error)}") from error
        self.step = state["step"]


def packed(own: Settings, split: str) -> TokenDataset:
    """Return sequences of whole clips, and of parts of long ones."""
    size = own.max_seq_len
    return TokenDataset(
        own.data, own.column, size, "pack", bos=True, eos=True, cut=own.cut, split=split
    )


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def checkpoints(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("step-*") if (path / "run.json").is_file())


def latest(folder: Path) -> Path:
    found = checkpoints(folder)
    if not found:
        raise Refused(f"{folder} holds no checkpoint: `pretrain` makes them")
    return found[-1]


def settings_of(checkpoint: Path) -> Settings:
    return Settings(**json.loads((checkpoint / "run.json").read_text())["settings"])


def weights(checkpoint: Path, vocabulary: Vocabulary, settings: Settings) -> dict[str, Tensor]:
    """Return the weights of a checkpoint, if they fit tokens and model."""
    state = json.loads((checkpoint / "run.json").read_text())
    if state["tokenizer"] != vocabulary.hash:
        raise Refused(
            f"{checkpoint} knows other tokens ({state['tokenizer'][:12]}) than {settings.data} "
            f"has ({vocabulary.hash[:12]}): tokenize the data with its tokenizer.json"
        )
    for name in ("width", "layers", "heads", "max_seq_len"):
        theirs, ours = state["settings"][name], getattr(settings, name)
        if theirs != ours:
            raise Refused(f"{name} is {theirs} in {checkpoint}, not {ours}")
    try:
        return load_file(checkpoint / "model.safetensors")
    except SafetensorError as error:
        raise Refused(f"{checkpoint} is damaged: {one_line(error)}") from error


def drawn(scores: Tensor, allowed: Tensor, heat: float, top_k: int) -> int:
    """Return one of the allowed ids by scores `(ids,)`, a temperature, and how many may be it."""
    scores = (scores / heat).masked_fill(~allowed, -torch.inf)
    if top_k:
        least = scores.topk(min(top_k, len(scores))).values[-1]
        scores = scores.masked_fill(scores < least, -torch.inf)
    return int(torch.multinomial(scores.softmax(-1), 1))


@torch.no_grad()
def generate(checkpoint: Path, out: Path, heat: float, top_k: int, seed: int) -> None:
    """Let a model play until it ends, or has no more room; write a MIDI file.

    It is held to what decodes, so that it plays, however little it has learnt.
    """
    if not heat > 0 or top_k < 0:
        raise Refused(f"--temperature must be above 0 and --top-k at least 0, got {heat}, {top_k}")
    own = settings_of(checkpoint)
    vocabulary = Vocabulary.read(checkpoint / "tokenizer.json")
    tokenizer = load_tokenizer(checkpoint / "tokenizer.json")
    sequence = Continuing(tokenizer)
    model = LanguageModel(vocabulary.size, own)
    model.load_state_dict(weights(checkpoint, vocabulary, own))
    model.eval()
    torch.manual_seed(seed)
    ids, end, whole = [vocabulary.special("BOS")], vocabulary.special("EOS"), 0
    while len(ids) < own.max_seq_len and ids[-1] != end:
        places = torch.arange(len(ids))[None]
        scores = model(torch.tensor([ids]), places, torch.zeros_like(places))[0, -1]
        late = not sequence.sounds and 2 * len(ids) > own.max_seq_len
        allowed = torch.from_numpy(sequence.allowed(hurry=late))
        ids.append(drawn(scores, allowed, heat, top_k))
        sequence.take(ids[-1])
        if sequence.is_whole and sequence.sounds:
            whole = len(ids)
    if not whole:
        raise Refused(f"{own.max_seq_len} tokens have no room for a note: use more --max-seq-len")
    body = ids[1:whole] if ids[-1] != end else ids[1:-1]
    out.write_bytes(tokenizer.decode(body))
    print(f"{len(body)} tokens to {out}")


def parsed(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("pretrain", "finetune", "resume"):
        command = commands.add_parser(name)
        if name != "resume":
            command.add_argument("data", help="folder or Hub id")
        command.add_argument("run", type=Path, help="folder of its checkpoints")
        if name == "finetune":
            command.add_argument("--from", dest="start", type=Path, required=True, metavar="RUN")
        for option, default in list(asdict(Settings("")).items())[1:]:
            flag = "--" + option.replace("_", "-")
            command.add_argument(flag, type=type(default), help=f"default {default}")
    playing = commands.add_parser("generate")
    playing.add_argument("run", type=Path)
    playing.add_argument("out", type=Path, metavar="OUT.mid")
    playing.add_argument("--temperature", type=float, default=1.0)
    playing.add_argument("--top-k", type=int, default=0, help="ids to draw from; 0 is all")
    playing.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


def begun(args: argparse.Namespace) -> Run:
    """Return the run that a command means."""
    given = {name: value for name, value in vars(args).items() if value is not None}
    chosen = {name: given[name] for name in asdict(Settings("")) if name in given}
    if args.command == "resume":
        checkpoint = latest(args.run)
        own = settings_of(checkpoint)
        for name, value in chosen.items():
            if value != getattr(own, name):
                raise Refused(
                    f"{name} is {getattr(own, name)} in {checkpoint}, not {value}: leave it out"
                )
        run = Run(args.run, own)
        run.go_on(checkpoint)
        return run
    if args.run.exists() and checkpoints(args.run):
        raise Refused(f"{args.run} holds a run already: resume it, or name another folder")
    start = None
    if args.command == "finetune":
        start = latest(args.start)
        shape = asdict(settings_of(start))
        chosen = {k: shape[k] for k in ("width", "layers", "heads", "max_seq_len")} | chosen
    return Run(args.run, Settings(**chosen), start)


def main(argv: list[str] | None = None) -> None:
    args = parsed(argv)
    try:
        if args.command == "generate":
            generate(latest(args.run), args.out, args.temperature, args.top_k, args.seed)
            return
        run = begun(args)
        run.folder.mkdir(parents=True, exist_ok=True)
        run.train()
    except (Refused, OSError, ValueError) as error:
        raise SystemExit(f"train_lm: {error}") from None


if __name__ == "__main__":
    main()
