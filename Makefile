# Everything runs in virtual environments of the checkout's own, which each target makes when it is needed.
#   make demo [PORT=8000]   the example site, its cache, and a local Secrets Manager
#   make test               everything that CI runs
#   make browser            a Chromium for the tests, where there is none; make test calls it first
#   make redis              a redis-server likewise
#   make docs               the documentation, as a site
#   make dist               the wheel and the sdist, checked, and the wheel tried in an empty environment
#   make bench              this backend beside its alternatives
PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
BENCH_READY := $(VENV)/.bench-installed
DOCS_READY := $(VENV)/.docs-installed
ECOSYSTEM_READY := $(VENV)/.ecosystem-installed
UPSTREAM_READY := $(VENV)/.upstream-installed
DIST_READY := $(VENV)/.dist-installed
DEMO := .cache/demo
DEMO_READY := $(DEMO)/.installed
SITE := .cache/site
EXTRAS := encryption,lz4,msgpack,opentelemetry,prometheus,zstd
# Most tests wait for servers and processes, so there are two more than cores. The workers are named
# in full, because a variable in place of `-X dev` would reach the processes that tests start.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 2)')
PARALLEL = --dist worksteal --tx "$(WORKERS)*popen//python=$(BIN)/python -X dev"
# Measured over the tests of this project and those with other packages; `make coverage` then reports it.
COVERAGE = --cov --cov-config=setup.cfg --cov-report= --cov-fail-under=0
# Development mode without the checks of Python's allocator, which look for faults of C code: they take a fifth
# of the tests' time, and this project has no C code. test-django and test-packaging keep them.
test-python test-docs test-ecosystem: export PYTHONMALLOC = pymalloc
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test bench lint types layers test-django test-python coverage browser redis screenshots docs docs-serve test-docs test-ecosystem test-upstream test-packaging dist tox format clean

help:
	@echo "make demo [PORT=8000]  start the example site with a local Momento and a local Secrets Manager"
	@echo "make test              lint, types, import layers, Django's own cache tests, tests with coverage"
	@echo "make test-django       only Django's own cache tests"
	@echo "make test-python       only this project's tests, with branch coverage"
	@echo "make browser           install a Chromium for the browser tests, unless there is one"
	@echo "make redis             install a redis-server for the tests, unless there is one"
	@echo "make screenshots       take the README's pictures anew, into docs/images"
	@echo "make docs              build the documentation, with warnings as errors, into .cache/site"
	@echo "make docs-serve        the same, and serve it on PORT"
	@echo "make test-docs         only the tests of the documentation: every code block, table and figure in it"
	@echo "make test-ecosystem    only the tests with the packages that people use next to a cache"
	@echo "make test-upstream     Django's own session tests and those of other packages, on this backend; some minutes"
	@echo "make coverage          report the branch coverage of test-python and test-ecosystem"
	@echo "make test-packaging    only the tests of the wheel, the sdist, and what type checkers make of them"
	@echo "make dist              build both into dist, check them, and use the wheel in an empty environment"
	@echo "make tox               the tests over all versions of Python and Django that are here; TOXENV=lowest for one"
	@echo "make bench             measure this backend beside its alternatives; benchmarks/results has the figures"
	@echo "make format            format the code and fix what ruff can fix"
	@echo "make clean             remove the virtual environment and everything generated"

$(READY): setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed.")'
	$(PYTHON) -m venv $(VENV)
	@echo "Installing about 100 packages (600 MB) for developers into $(VENV); this takes about a minute, once."
	$(INSTALL) 'pip>=25.1'
	$(INSTALL) --editable '.[$(EXTRAS)]' --group dev
	touch $@

$(DEMO_READY): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed.")'
	@$(PYTHON) -m example_project.environment $(DEMO)
	@touch $@

demo: $(DEMO_READY)
	@exec $(DEMO)/bin/python -m example_project.demo --port $(PORT)

test: browser redis lint types layers docs test-django test-python test-docs test-ecosystem coverage test-packaging

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

# The tests of the ecosystem are checked too, so their packages must be there.
types: $(ECOSYSTEM_READY)
	$(BIN)/mypy

layers: $(READY)
	$(BIN)/lint-imports

test-django: $(READY)
	$(BIN)/python -X dev -m tests.django_suite.run

test-python: $(READY) browser redis
	$(BIN)/python -X dev -m pytest $(PARALLEL) $(COVERAGE)

browser: $(READY)
	@$(BIN)/python -m tests.browser.install

redis: $(READY)
	@$(BIN)/python -m tests.kit.install_redis

screenshots: $(READY) browser
	SCREENSHOTS=docs/images $(BIN)/python -m pytest tests/browser/test_screenshots.py

$(DOCS_READY): $(READY)
	$(INSTALL) --group docs
	touch $@

docs: $(DOCS_READY)
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -d .cache/doctrees docs $(SITE)
	@echo "Open $(SITE)/index.html"

docs-serve: docs
	@exec $(BIN)/python -m http.server --bind 127.0.0.1 --directory $(SITE) $(PORT)

test-docs: $(DOCS_READY) redis
	$(BIN)/python -X dev -m pytest $(PARALLEL) tests/docs

$(ECOSYSTEM_READY): $(READY)
	$(INSTALL) --group ecosystem
	touch $@

test-ecosystem: $(ECOSYSTEM_READY)
	$(BIN)/python -X dev -m pytest $(PARALLEL) $(COVERAGE) --cov-append tests/ecosystem

coverage: $(READY)
	$(BIN)/coverage report

$(UPSTREAM_READY): $(READY)
	$(INSTALL) --group upstream
	touch $@

test-upstream: $(UPSTREAM_READY)
	$(BIN)/python -m tests.upstream.run

$(DIST_READY): $(READY)
	$(INSTALL) --group dist
	touch $@

test-packaging: $(DIST_READY)
	$(BIN)/python -X dev -m pytest tests/packaging

dist: $(DIST_READY)
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/tox run -e wheel --installpkg dist/*.whl

tox: $(READY) redis
	TOXENV=$(TOXENV) $(BIN)/tox run $(if $(TOXENV),,--skip-missing-interpreters=true)

$(BENCH_READY): $(READY)
	$(INSTALL) --group bench
	touch $@

bench: $(BENCH_READY)
	$(BIN)/python -m benchmarks

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .cache .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache \
		.ruff_cache .tox build dist *.egg-info tests/*/.pytest_cache
