.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete

help:  ## list the tasks
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"residua needs Python 3.11 or newer, and this is {v[0]}.{v[1]}. Run: make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all,test,lint,docs]'
	@touch $@

setup: $(STAMP)  ## make .venv with every extra, the test tools and the residua command

demo: $(STAMP)  ## train on bundled images, all jobs, and write a report (a minute on two free cores)
	$(BIN)/residua demo --out runs/demo

test: $(STAMP)  ## run every test but those that take long
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

test-slow: $(STAMP)  ## run the tests that take long
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist load -m slow

lint: $(STAMP)  ## ruff: style and mistakes
	$(BIN)/ruff check src tests benchmarks release && $(BIN)/ruff format --check src tests benchmarks release

types: $(STAMP)  ## mypy, strict
	$(BIN)/mypy

docs: $(STAMP)  ## run every example in the documentation
	$(BIN)/python -m pytest tests/docs

notebooks: $(STAMP)  ## run every notebook; the outputs go to build/notebooks
	$(BIN)/python release/notebooks.py

site: $(STAMP)  ## build the documentation's site into site/, offline
	$(BIN)/mkdocs build --strict --quiet

release-check: $(STAMP)  ## wheel, clean environments, notebooks, site: what a release must pass
	$(BIN)/python release/check.py

bench: $(STAMP)  ## measure speed and coverage beside the peers (long; results in benchmarks/results)
	$(BIN)/python benchmarks/run.py

check: lint types test test-slow release-check  ## what a commit must pass

clean:  ## remove what the tasks made
	rm -rf $(VENV) runs build site .pytest_cache .mypy_cache .ruff_cache

.PHONY: help setup demo test test-slow lint types docs notebooks site release-check bench check clean
