# Everything runs in a virtual environment of the checkout's own, which each target makes when it is needed.
#   make demo [PORT=8000]   the example site, its cache, and a local Secrets Manager
#   make test               everything that CI runs
#   make bench              this backend beside its alternatives
PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
BENCH_READY := $(VENV)/.bench-installed

.DEFAULT_GOAL := help
.PHONY: help demo test bench lint types layers test-django test-python format clean

help:
	@echo "make demo [PORT=8000]  start the example site with a local Momento and a local Secrets Manager"
	@echo "make test              lint, types, import layers, Django's own cache tests, tests with coverage"
	@echo "make test-django       only Django's own cache tests"
	@echo "make test-python       only this project's tests, with branch coverage"
	@echo "make bench             measure this backend beside its alternatives; benchmarks/results has the figures"
	@echo "make format            format the code and fix what ruff can fix"
	@echo "make clean             remove the virtual environment and everything generated"

$(READY): setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed.")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: $(READY)
	@exec $(BIN)/python -m example_project.demo --port $(PORT)

test: lint types layers test-django test-python

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

layers: $(READY)
	$(BIN)/lint-imports

test-django: $(READY)
	$(BIN)/python -X dev -m tests.django_suite.run

test-python: $(READY)
	$(BIN)/python -X dev -m pytest --cov --cov-report=term-missing

$(BENCH_READY): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	touch $@

bench: $(BENCH_READY)
	$(BIN)/python -m benchmarks

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .cache .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache \
		.ruff_cache .tox build dist *.egg-info
