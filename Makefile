# make demo and make test are all a new user needs; both go through setup.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow bench-model bench-kernel bench-peers bench-bound bench-scenarios bench-search tune-search lint typecheck format lock clean

PYTHON ?= $(shell command -v python3.11 || command -v python3)
# For machines whose package index has no CPU build of PyTorch: TORCH_ARGS="--index-url <an index of CPU builds>".
TORCH_ARGS ?=
PYTEST_ARGS ?=
# Of tune-search.
METHOD ?= quantum_inspired
TUNE_ARGS ?=
# Of bench-search: --quick, --methods, --problems, --seeds, --budget, --slow-peers, --more-problems, --processes.
SEARCH_ARGS ?=

BIN := .venv/bin
STAMP := .venv/.stamp
# Errors only: a private index's warnings would hide the lines that tell how far it is.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet
CODE := sim_core optimizers orchestrator

# One thread per process: parallelism comes from processes, and idle thread pools cost CPU time.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export MKL_NUM_THREADS := 1

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' Makefile

setup: $(STAMP)  ## create .venv from requirements.lock (only when it or pyproject.toml changed)

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "setup: no python3 on the PATH; install Python 3.11 or newer, or say make setup PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "setup: $(PYTHON) is older than 3.11; say make setup PYTHON=/path/to/python3.11"; exit 1; }
	@echo "setup: 1/4 creating .venv with $(PYTHON)"
	@$(PYTHON) -m venv .venv
	@echo "setup: 2/4 installing PyTorch"
	@$(PIP) install $(TORCH_ARGS) --constraint requirements.lock "$$(grep '^torch==' requirements.lock)"
	@echo "setup: 3/4 installing $$(grep -c '==' requirements.lock) locked packages; this takes some minutes the first time"
	@$(PIP) install --requirement requirements.lock
	@echo "setup: 4/4 installing circularbench itself"
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $(STAMP)
	@echo "setup: done"

demo: $(STAMP)  ## run experiments/demo.yaml and print its leaderboard; again: nothing is simulated twice
	@$(BIN)/circularbench run experiments/demo.yaml

test: lint typecheck  ## style, types, import rules and all tests but the slow ones
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

test-slow: $(STAMP)  ## the slow tests
	@$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

bench-model: $(STAMP)  ## known answers, agent against fluid engine; writes build/bench/model.json
	@$(BIN)/python -m benchmarks.bench_model

bench-kernel: $(STAMP)  ## the kernel beside the machine and the NumPy engine; writes build/bench/kernel.json
	@$(BIN)/python -m benchmarks.bench_kernel

bench-peers: $(STAMP)  ## four other simulators beside ours, on one core; writes build/bench/peers.json
	@$(BIN)/python -m benchmarks.bench_peers

bench-bound: $(STAMP)  ## what no control can beat: is it so, how tight, how long; writes build/bench/bound.json
	@$(BIN)/python -m benchmarks.bench_bound

bench-scenarios: $(STAMP)  ## recipes and paths a second, bytes, memory; writes build/bench/scenarios.json
	@$(BIN)/python -m benchmarks.bench_scenarios

bench-search: $(STAMP)  ## search methods and peers at equal evaluations, optima known; writes build/bench/search.json
	@$(BIN)/python -m benchmarks.bench_search $(SEARCH_ARGS)

tune-search: $(STAMP)  ## tune the settings of a search method: make tune-search METHOD=evolution
	@$(BIN)/python -m benchmarks.tune_search $(METHOD) $(TUNE_ARGS)

lint: $(STAMP)  ## ruff and the import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-cache --no-logo

typecheck: $(STAMP)  ## basedpyright
	@$(BIN)/basedpyright --pythonpath $(BIN)/python

format: $(STAMP)  ## rewrite the code in the project's style
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

lock:  ## rebuild requirements.lock from pyproject.toml in a new environment
	@rm -rf build/lock && mkdir -p build/lock
	@$(PYTHON) -m venv build/lock/venv
	@build/lock/venv/bin/python -m pip install --quiet --quiet $(TORCH_ARGS) "$$(grep '^torch==' requirements.lock)"
	@build/lock/venv/bin/python -m pip install --quiet --quiet ".[rl,dev]"
	@{ sed '/^[^#]/,$$d' requirements.lock; \
	   build/lock/venv/bin/python -m pip list --format=freeze --exclude pip --exclude circularbench | sed 's/+[a-z0-9.]*$$//'; } > build/lock/requirements.lock
	@mv build/lock/requirements.lock requirements.lock && rm -rf build/lock
	@echo "lock: wrote requirements.lock; run make test"

clean:  ## remove .venv and everything that is built; results/ stays
	@rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find $(CODE) tests -name __pycache__ -type d -prune -exec rm -rf {} +
