# Two commands do everything: `make demo` and `make test`. Both start with `make setup`, which makes
# .venv and installs what they need; nothing outside this folder and the weights' cache is touched.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# Training needs PyTorch; without a GPU, name its processor-only build here (the default elsewhere
# brings several GB of CUDA): make test TORCH="torch --index-url https://download.pytorch.org/whl/cpu"
TORCH ?= torch==2.13.0

.PHONY: setup tune-setup browser demo test lint types unit integration wheel picture sample reader \
	grounded-adapter encoder clean

setup: $(VENV)/.installed
	@$(BIN)/ragtune weights

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("ragtune needs Python 3.11 or newer; try: make PYTHON=python3.12 …") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

tune-setup: setup $(VENV)/.tune

$(VENV)/.tune: pyproject.toml | $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,tune,export]'
	@touch $@

demo: setup
	@$(BIN)/ragtune demo

test: lint types unit integration

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: tune-setup
	$(BIN)/mypy

unit: tune-setup
	$(BIN)/pytest tests/unit

integration: tune-setup browser
	$(BIN)/pytest tests/integration

# The web page's tests need Chromium; where it cannot be installed they are skipped, and say so.
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } || \
	  echo "no Chromium: the browser tests will be skipped (apt-get install chromium)"

# `pip install ragtune` must work the same: build the wheel and run its demo in a bare environment.
wheel: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check build
	$(BIN)/python -m build --wheel

# Needs the public data of benchmarks/reader_data.py; about 40 minutes of one core.
reader: tune-setup  ## trains the shipped reader again and fits the support score
	$(BIN)/python -m benchmarks.reader
	$(BIN)/python -m benchmarks.answering --fit

sample: setup  ## makes the sample company's office files again
	$(BIN)/python scripts/make_sample.py

# On two cores about 20 minutes; reads SQuAD from the folder that RAGTUNE_BENCH names.
grounded-adapter: tune-setup  ## makes src/ragtune/data/grounded again
	$(BIN)/python -m benchmarks.grounded --train

picture: setup  ## makes the picture of the demo in the README
	$(BIN)/python scripts/demo_picture.py

# The page's WebAssembly (src/ragtune/export/browser/encoder): clang and lld of LLVM 16 or newer.
encoder:
	src/ragtune/export/browser/encoder/build.sh

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache
