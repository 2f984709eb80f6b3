# Everything a newcomer needs; each target sets up what it uses.
#   make demo   denoise a phantom DAT-SPECT scan and print what a reader would see
#   make test   lint and the test suite (make test-slow adds the long ones)
#   make lint   ruff and mypy
#   make bench  our speed against what a user would otherwise run
#   make docs   the documentation as a web site in ./site

PYTHON ?= $(shell for p in python3 python3.12 python3.11; do $$p -c 'import sys, venv; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && { echo $$p; break; }; done)
VENV ?= .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready

.PHONY: demo test test-slow lint bench docs setup clean

setup: $(READY)

$(READY): pyproject.toml Testing/setup/bootstrap.py
	@test -n "$(PYTHON)" || { echo "Manabi needs Python 3.11 or 3.12. Install one, or say: make PYTHON=/path/to/python3.12"; exit 2; }
	$(PYTHON) Testing/setup/bootstrap.py $(VENV)
	@touch $(READY)

demo: $(READY)
	$(PY) -m manabi demo --output demo --overwrite

lint: $(READY)
	$(PY) -m ruff check .
	$(PY) -m mypy

test: lint
	$(PY) -m pytest

test-slow: $(READY)
	$(PY) -m pytest -m slow

bench: $(READY)
	$(PY) -m pip install --quiet -e '.[peers]'
	$(PY) -m manabi bench

docs: $(READY)
	$(PY) -m pip install --quiet -e '.[docs]'
	$(PY) -m mkdocs build --strict --site-dir site

clean:
	rm -rf $(VENV) build dist site demo *.egg-info .pytest_cache .mypy_cache .ruff_cache
