# Needs Python 3.11 or newer, git and make, on Linux or macOS.
# Another Python: PYTHON=python3.12 make test (after make clean, if .venv exists).

PYTHON ?= python3
PIP := 26.3
BIN := .venv/bin
STAMP := .venv/.installed
PICTURES := demo

ifeq ($(shell uname -s)$(DISPLAY),Linux)
VIRTUAL_DISPLAY := xvfb-run -a -s "-screen 0 1600x1000x24"
endif

.PHONY: help demo test lint style types layers manifest bench pictures clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' Makefile

demo: $(STAMP) ## Train on bundled samples; a window if there is a display, pictures in demo/ otherwise
	@tools/system-packages.sh
	$(BIN)/napari-flim demo --out $(PICTURES)

test: $(STAMP) ## Run all tests and doctests (TESTS="-k name" selects)
	@tools/system-packages.sh
	$(VIRTUAL_DISPLAY) tools/run-tests.sh $(BIN)/python $(TESTS)

lint: style types layers manifest ## Check everything that needs no running of code

style: $(STAMP) ## Check lint rules and formatting
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(STAMP) ## Check types
	$(BIN)/mypy

layers: $(STAMP) ## Check which package may import which
	$(BIN)/lint-imports

manifest: $(STAMP) ## Check what napari reads about the plugin
	$(BIN)/npe2 validate src/napari_flim/napari.yaml

bench: $(STAMP) ## Measure speed, memory, waiting in napari, and accuracy
	@tools/system-packages.sh
	$(BIN)/python benchmarks/speed.py
	$(VIRTUAL_DISPLAY) $(BIN)/python benchmarks/live.py
	$(BIN)/python benchmarks/accuracy.py
	$(BIN)/python benchmarks/delineation.py
	$(BIN)/python benchmarks/batch.py
	$(BIN)/python benchmarks/memory.py

pictures: $(STAMP) ## Draw the pictures of the docs again
	$(BIN)/napari-flim demo --no-window --out $(PICTURES)
	cp $(addprefix $(PICTURES)/,coins.png tissue.png beads.png) docs/images/
	@tools/system-packages.sh
	$(VIRTUAL_DISPLAY) $(BIN)/python tools/pictures.py docs/images

clean: ## Remove the environment and everything generated
	rm -rf .venv build dist $(PICTURES) .coverage .hypothesis .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install Python 3.11 or newer, or name one: PYTHON=python3.12 make" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is $$($(PYTHON) --version 2>&1), napari-flim needs 3.11 or newer: name one: PYTHON=python3.12 make" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) has no venv module: install it (on Debian or Ubuntu: apt-get install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet pip==$(PIP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --build-constraint constraints.txt --editable . --group dev
	@touch $@
