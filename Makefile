# make demo   the core alone, on the example pairs
# make test   everything, with the whole suite
PYTHON ?= python3
# Any build of PyTorch will do, for example TORCH="torch --index-url https://download.pytorch.org/whl/cpu".
TORCH ?= torch==2.13.0

DEMO := .venv-demo
DEV := .venv

.PHONY: demo test lint bench clean

demo: $(DEMO)/ready
	$(DEMO)/bin/birqa score --pairs examples/pairs.csv

test: $(DEV)/ready
	$(DEV)/bin/python -m pytest

lint: $(DEV)/ready
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy

bench: $(DEV)/ready
	$(DEV)/bin/python benchmarks/speed.py

$(DEMO)/ready: pyproject.toml
	$(PYTHON) -m venv $(DEMO)
	$(DEMO)/bin/pip install --quiet --disable-pip-version-check .
	touch $@

$(DEV)/ready: pyproject.toml
	$(PYTHON) -m venv $(DEV)
	$(DEV)/bin/pip install --quiet --disable-pip-version-check $(TORCH)
	$(DEV)/bin/pip install --quiet --disable-pip-version-check -e ".[all,dev]"
	touch $@

clean:
	rm -rf $(DEMO) $(DEV)
