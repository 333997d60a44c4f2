"""One of two processes that train a language model, and then go on where it might have been killed.

python lm_ranks.py EXAMPLE DATA RUN COPY OPTIONS ...
"""

import runpy
import shutil
import sys
from pathlib import Path

import torch


def main() -> None:
    example, data, *folders = sys.argv[1:5]
    run, copy = map(Path, folders)
    torch.set_num_threads(1)
    train = runpy.run_path(example)["main"]
    train(["pretrain", data, str(run), *sys.argv[5:]])
    if torch.distributed.get_rank() == 0:
        shutil.copytree(run, copy)
        shutil.rmtree(max(copy.glob("step-*")))
    torch.distributed.barrier()
    train(["resume", str(copy)])
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
