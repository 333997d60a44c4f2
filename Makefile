# Everything a newcomer needs: `make demo`, `make test`, `make check`. Only Python is required.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet

.PHONY: demo test check clean

demo: $(VENV)/installed
	$(BIN)/sousa build demo/tiny --preset tiny
	$(BIN)/sousa info demo/tiny
	$(BIN)/python examples/draw_clips.py demo/tiny --picture demo/clips.png
	$(BIN)/python examples/train_skill.py demo/tiny --picture demo/confusion.png

test: $(VENV)/installed
	$(BIN)/pytest --numprocesses 2 --dist worksteal

check: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build demo

# torch first and by its pin: pulled in by another package, it would bring several GB of CUDA.
$(VENV)/dependencies: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install "pip>=25.1"
	$(PIP) install --constraint constraints.txt torch numpy
	$(PIP) install --constraint constraints.txt --no-deps torchcodec torchaudio \
		lightning lightning-utilities torchmetrics
	# torchaudio is for tests alone: beside a CPU torch its CUDA libraries cannot be loaded, nor need be.
	$(BIN)/python -c "import torch; raise SystemExit(torch.version.cuda is None)" || \
		rm -f $(VENV)/lib/python3*/site-packages/torchaudio/lib/*.so
	touch $@

# A strict editable install links single files, so a new module needs it anew.
$(VENV)/installed: $(VENV)/dependencies $(wildcard builders/*.py loaders/*.py loaders/*.c cards/*.*)
	$(PIP) install --constraint constraints.txt --group dev --editable ".[load,plot,soundfont]" \
		--config-settings editable_mode=strict
	touch $@
