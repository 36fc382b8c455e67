# make demo and make test do all of the set-up on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint clean

demo: $(VENV)/.installed
	$(BIN)/python docs/examples/demo.py

test: $(VENV)/.installed-test
	SCIPY_ARRAY_API=1 $(BIN)/python -m pytest -q --durations=10

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# The constraints pin what we test with; the pinned torch has a CPU build, an unpinned one brings several GB of CUDA.
$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install -q -c constraints.txt -e .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/pip install -q -c constraints.txt -e ".[test,lint]"
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
