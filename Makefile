# Everything a newcomer needs. Each target sets up what it uses, in $(VENV); nothing else on the machine is changed.
#   make demo    denoise a simulated DAT-SPECT scan, and compare it with the truth
#   make test    lint, then the test suite (make test-slow runs the long ones)
#   make lint    ruff and mypy
#   make bench   our speed against what a user would otherwise run
#   make docs    the documentation as a web site in ./site
#   make images  draw the pictures of the documentation anew
#   make setup   only the environment; make clean removes it and everything that was built

FITS := import sys, venv, ensurepip; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 12))
PYTHON ?= $(shell for p in python3 python3.12 python3.11 python; do \
	$$p -c '$(FITS)' >/dev/null 2>&1 && { echo $$p; break; }; done)
VENV ?= .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready

.PHONY: setup demo test test-slow lint bench docs images clean

setup: $(READY)

$(READY): pyproject.toml Testing/setup/bootstrap.py
	@test -n "$(PYTHON)" || { echo "Manabi needs Python 3.11 or 3.12 with venv and pip (Debian and Ubuntu: apt install python3-venv). Where it has another name, say: make PYTHON=/path/to/python3.12"; exit 2; }
	$(PYTHON) Testing/setup/bootstrap.py $(VENV)
	@touch $(READY)

# The extras of pyproject.toml that only some targets need: $(VENV)/.ready-docs, $(VENV)/.ready-peers.
$(READY)-%: $(READY)
	$(PY) -m pip install --quiet --disable-pip-version-check -e '.[$*]'
	@touch $@

demo: $(READY)
	$(PY) -m manabi demo --output demo --overwrite

lint: $(READY)
	$(PY) -m ruff check .
	$(PY) -m mypy

test: lint
	$(PY) -m pytest -n 2 --dist loadfile

test-slow: $(READY)
	$(PY) -m pytest -m slow

bench: $(READY)-peers
	$(PY) -m manabi bench

docs: $(READY)-docs
	$(PY) -m mkdocs build --strict --site-dir site

images: $(READY)
	$(PY) Testing/tools/make_images.py
	$(PY) Testing/tools/make_slicer_images.py

clean:
	rm -rf $(VENV) build dist site demo *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
