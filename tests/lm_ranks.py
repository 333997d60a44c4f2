"""One of two processes that train a language model, and then go on where it might have been killed.

python lm_ranks.py EXAMPLE DATA RUN COPY OPTIONS ...
"""

import runpy
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor


def gradients(example: dict[str, Any], data: str, batch_size: int) -> dict[str, Tensor]:
    """The gradients of a new model by its first batch, before they are clipped."""
    size = {"max_seq_len": 128, "width": 16, "layers": 1, "heads": 2}
    settings = example["Settings"](data, batch_size=batch_size, dropout=0.0, **size)
    run = example["Run"](Path(), settings)
    run.backward(next(iter(run.loader)))
    model = run.accelerator.unwrap_model(run.model)
    return {name: weight.grad for name, weight in model.named_parameters()}


def main() -> None:
    example, data, *folders = sys.argv[1:5]
    run, copy = map(Path, folders)
    torch.set_num_threads(1)
    loaded = runpy.run_path(example)
    train = loaded["main"]
    found = gradients(loaded, data, 4)
    if torch.distributed.get_rank() == 0:
        save_file(found, run.with_name("gradients.safetensors"))
    train(["pretrain", data, str(run), *sys.argv[5:]])
    if torch.distributed.get_rank() == 0:
        shutil.copytree(run, copy)
        shutil.rmtree(max(copy.glob("step-*")))
    torch.distributed.barrier()
    train(["resume", str(copy)])
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
