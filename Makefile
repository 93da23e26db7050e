# Every task of the repository. A fresh clone needs Python >= 3.11 and make, nothing else.
#   make demo    set up, then read real crystals and predict the element of every site
#   make test    set up, then lint, types, tests and the strict build of the documentation
#   make test-fast         the tests that take less than some seconds and need no training and no browser
#   make test-NAME         the tests of one package, such as test-rank
#   make docs    set up, then serve the documentation at http://127.0.0.1:8000
#   make dist    build sdist and wheel, check them, and run the wheel in bare environments (PYTHONS="python3.12 ...")
#   make bench   set up, then the comparisons against peers (more with DATA=corpora/ MOFS=archive-of-mofs)
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
STAMPS := pyproject.toml constraints.txt
JOBS ?= auto

PYTHONS ?= $(PYTHON)

.PHONY: demo test test-fast lint types unit docs docs-build dist bench clean help

help:
	@sed -n '2,8p' Makefile

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "atomsight needs Python >= 3.11; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "The venv module of $(PYTHON) does not work (Debian: apt-get install python3-venv)"; exit 1; }

$(VENV)/.base: $(VENV)/bin/python $(STAMPS)
	@echo "Setting up $(VENV) (prediction and the page: no PyTorch) ..."
	@$(PIP) --editable '.[web]'
	@touch $@

$(VENV)/.test: $(VENV)/bin/python $(STAMPS)
	@echo "Setting up $(VENV) with everything that the tests need ..."
	@$(PIP) --editable '.[test,docs]'
	@touch $@ $(VENV)/.base

demo: $(VENV)/.base
	@$(BIN)/python examples/01_demo.py --out demo-output
	@echo
	@echo "See which atoms look wrong, in a page on this machine:  $(BIN)/atomsight serve"

test: lint types docs-build unit

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/oxlint --deny-warnings src

types: $(VENV)/.test
	$(BIN)/mypy

unit: $(VENV)/.test
	$(BIN)/pytest --numprocesses $(JOBS)

test-fast: $(VENV)/.test
	$(BIN)/pytest --numprocesses $(JOBS) -m "not slow and not train and not browser"

test-%: $(VENV)/.test
	$(BIN)/pytest --numprocesses $(JOBS) tests/$*

dist: $(VENV)/bin/python
	@$(PIP) '.[dist]'
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/python tests/support/check_wheel.py dist
	@for python in $(PYTHONS); do \
	  rm -rf build/bare && $$python -m venv build/bare && \
	  build/bare/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt dist/*.whl && \
	  build/bare/bin/python -m pip check && \
	  (cd build && bare/bin/python --version && bare/bin/atomsight predict ../examples/*.cif) || exit 1; \
	done

# Material for MkDocs announces the end of its support at every start; its version is pinned.
docs: export NO_MKDOCS_2_WARNING = 1
docs: $(VENV)/.test
	$(BIN)/mkdocs serve

docs-build: export NO_MKDOCS_2_WARNING = 1
docs-build: $(VENV)/.test
	$(BIN)/mkdocs build --strict

bench: $(VENV)/.test
	@$(PIP) --requirement benchmarks/neighbours/requirements.txt
	@$(BIN)/python benchmarks/run.py $(if $(DATA),--data $(DATA) --mofs $(MOFS))

clean:
	rm -rf $(VENV) demo-output build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
