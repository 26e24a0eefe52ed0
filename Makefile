# Every target sets up what it needs by itself; a fresh clone needs only make and, for the rest, tools/setup-venv.

BIN := .venv/bin
# As many tests at a time as there are cores; a worker that runs out of tests takes over another's.
PYTEST := $(BIN)/python -m pytest --numprocesses=auto --dist=worksteal
# What `gettone demo` and `gettone bench` are given: make demo ARGS=--once
ARGS ?=

.PHONY: help demo test check bench lock build docs format run-env dev-env test-env lint

help:
	@echo 'make demo    a sample organisation, a day of calls played fast, then the running service (ARGS=--once: end instead)'
	@echo 'make check   format, lint, types and the fast tests'
	@echo 'make test    format, lint, types and all tests'
	@echo 'make bench   the benchmarks, with the limits of this machine beside them'
	@echo 'make docs    write the generated parts of docs/ anew'
	@echo 'make format  put the sources into shape'
	@echo 'make build   a wheel and a source archive in dist/'
	@echo 'make lock    resolve the dependencies anew (ARGS=--upgrade: to the newest)'

run-env:
	@tools/setup-venv run

dev-env:
	@tools/setup-venv dev

test-env:
	@tools/setup-venv test

demo: run-env
	$(BIN)/gettone demo $(ARGS)

bench: dev-env
	$(BIN)/gettone bench $(ARGS)

lint: dev-env
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy

check: lint
	$(PYTEST) -m 'not slow'

# One run of pytest for everything, so that its summary is the last line.
test: test-env lint
	$(PYTEST)

format: dev-env
	$(BIN)/python -m ruff check --fix-only .
	$(BIN)/python -m ruff format .

docs: dev-env
	$(BIN)/python tools/make_docs.py

build: dev-env
	$(BIN)/python -m hatchling build

# Names, versions and hashes only; --universal covers every platform and Python version that the project allows.
COMPILE = $(BIN)/python -m uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-annotate --no-header $(ARGS)

lock: dev-env
	$(BIN)/python -m pip install --quiet uv
	$(COMPILE) --extra dev --output-file requirements-dev.lock pyproject.toml
	$(COMPILE) --extra clients --constraint requirements-dev.lock --output-file requirements-clients.lock pyproject.toml
	$(COMPILE) --constraint requirements-dev.lock --output-file requirements.lock pyproject.toml
	echo hatchling | $(COMPILE) --constraint requirements-dev.lock --output-file requirements-build.lock -
