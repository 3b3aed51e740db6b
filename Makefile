# `make help` lists the targets. Needs python >= 3.11 and git; everything else goes into .venv.

MAPLOOP_PORT ?= 8501
JOBS ?= 2
ARGS ?=

BIN := .venv/bin
INSTALLED := .venv/.installed
FOR_TESTS := .venv/.installed-dev
APART := .venv-transformers
LOCKED := $(BIN)/uv pip compile --universal --generate-hashes --no-header --no-annotate --quiet

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install run test test-transformers check format docs lock bench clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 20

install: $(INSTALLED) ## Prepare .venv from requirements.lock, with nothing that only tests need

run: $(INSTALLED) ## Open the app, on port 8501 or MAPLOOP_PORT
	exec $(BIN)/streamlit run app.py --server.port $(MAPLOOP_PORT)

test: $(FOR_TESTS) ## Run the tests; ARGS="tests/db -q" picks some, JOBS=1 runs them one at a time
	$(BIN)/pytest --numprocesses $(JOBS) --dist loadfile $(ARGS)

test-transformers: $(APART)/.installed ## Test models of the Hugging Face hub, in an environment of their own
	$(APART)/bin/pytest tests/predict/hub $(ARGS)

check: $(FOR_TESTS) ## Check format, lint, types, import directions and that the docs agree with the code
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/consistency.py

format: $(FOR_TESTS) ## Format the code and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(FOR_TESTS) ## Write docs/cli.md from the commands' own help
	$(BIN)/python .ci/consistency.py --write

bench: $(FOR_TESTS) ## Run the benchmarks and print their tables; ARGS="name" picks some
	$(BIN)/python -m bench $(ARGS)

lock: $(FOR_TESTS) ## Write requirements.lock and requirements-dev.lock anew from pyproject.toml
	$(LOCKED) --upgrade --extra dev --output-file requirements-dev.lock pyproject.toml
	$(LOCKED) --extra build --constraint requirements-dev.lock --output-file requirements.lock pyproject.toml

clean: ## Remove .venv, caches and build leftovers; data/ stays
	rm -rf .venv $(APART) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -not -path './data/*' -prune -exec rm -rf {} +

$(INSTALLED): requirements.lock pyproject.toml
	@set -eu; \
	usable() { "$$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }; \
	if ! usable $(BIN)/python || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python); do \
			if usable "$$python"; then found=$$python; break; fi; \
		done; \
		if [ -z "$${found:-}" ]; then \
			echo "Maploop needs Python 3.11 or newer, and $(or $(PYTHON),python3) is not: install one, or name it, make PYTHON=/path/to/python3.12." >&2; \
			exit 1; \
		fi; \
		echo "Setting up .venv with $$($$found --version). This takes a minute or two, once."; \
		"$$found" -m venv --clear .venv; \
	fi; \
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes --requirement requirements.lock; \
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(FOR_TESTS): requirements-dev.lock $(INSTALLED)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes --requirement requirements-dev.lock
	@touch $@

$(APART)/.installed: $(INSTALLED)
	$(BIN)/python -m venv --clear $(APART)
	$(APART)/bin/pip install --disable-pip-version-check --quiet --require-hashes --requirement requirements-dev.lock
	$(APART)/bin/pip install --disable-pip-version-check --quiet --no-build-isolation --editable '.[transformers]'
	@touch $@
