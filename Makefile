# The verbs that people and CI use. Each does all of its own set-up in .venv.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test check fuzz bench bench-checkers bench-readiness bench-report shrinking soak catalogue hunt docs site clean

demo: $(VENV)/.demo
	$(BIN)/dokkaebi demo

test: $(VENV)/.test
	$(BIN)/python -m pytest -n auto --dist worksteal tests/unit tests/property tests/quality
	$(BIN)/python -m pytest tests/e2e

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/unit/test_layers.py

# Every checker against its naive oracle, on FUZZ times as many histories as `make test` tries.
FUZZ ?= 40
fuzz: $(VENV)/.test
	DOKKAEBI_FUZZ=$(FUZZ) $(BIN)/python -m pytest -n auto --dist worksteal --timeout 0 --durations 40 tests/property

bench: $(VENV)/.test
	$(BIN)/python bench/load.py

bench-checkers: $(VENV)/.test
	$(BIN)/python bench/checkers.py

bench-readiness: $(VENV)/.test
	$(BIN)/python bench/readiness.py

bench-report: $(VENV)/.test
	$(BIN)/python bench/report_size.py

# Violations of each class made small, and how often the tests that come of it fail.
shrinking: $(VENV)/.test
	$(BIN)/python bench/shrinking.py

# Every strategy under every fault that it declares, 20 seeds each, and schedules drawn at random.
SCHEDULES ?= 200
soak: $(VENV)/.test
	$(BIN)/python bench/soak.py
	DOKKAEBI_SCHEDULES=$(SCHEDULES) DOKKAEBI_DEATHS=20 $(BIN)/python -m pytest -q --timeout 0 \
		tests/e2e/test_schedules.py tests/e2e/test_death.py

# Every strategy held to the verdict it declares, three seeds each; the page of it is drawn anew.
catalogue: $(VENV)/.test
	$(BIN)/dokkaebi suite catalogue --seeds 3 --jobs 2 --out catalogue-runs
	$(BIN)/python docs/generate.py --measured catalogue-runs/cells.jsonl

# J4: can PostgreSQL at serializable show G2-item? Runs of a minute, each checked, for HOURS.
HOURS ?= 1
hunt: $(VENV)/.test
	$(BIN)/python bench/hunt.py --hours $(HOURS)

# The pages as a site, in build/site.
site: $(VENV)/.test
	$(BIN)/sphinx-build -W --keep-going -q docs build/site

docs: $(VENV)/.demo
	$(BIN)/python docs/generate.py

clean:
	rm -rf build dist *.egg-info .pkg/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --constraint constraints.txt --editable .
	touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --constraint constraints.txt --editable '.[test]'
	touch $@ $(VENV)/.demo

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --constraint constraints.txt --editable '.[dev]'
	touch $@ $(VENV)/.test $(VENV)/.demo
