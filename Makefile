# `make help` lists what there is. Everything runs in .venv, which `make install` fills from constraints.txt.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help install search test test-all check format clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: .venv/installed  ## create .venv and install the pinned dependencies

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[dev]'
	@touch $@

search: install  ## a differentiable search on real images, under three minutes on two cores
	$(BIN)/python search.py

test: install  ## the quick tests
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-all: install  ## every test, the slow ones too
	$(BIN)/python -m pytest -n 2

check: install  ## format, lint, types, layering
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_layering.py

format: install  ## rewrite the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove .venv and caches; runs under logs/ stay
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache
