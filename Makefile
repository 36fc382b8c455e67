# make demo and make test do all of the set-up on a fresh machine.
PYTHON ?= python3
VENV := .venv
VISION := .venv-vision
BIN := $(VENV)/bin

.PHONY: demo test test-vision lint docs release-check bench-speed clean

demo: $(VENV)/.installed
	$(BIN)/python docs/examples/demo.py

test: $(VENV)/.installed-test
	OMP_NUM_THREADS=1 SCIPY_ARRAY_API=1 $(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist worksteal --durations=10

# Image networks, apart from the core suite: torchvision does not import beside its CPU-only torch.
test-vision: $(VISION)/.installed
	SCIPY_ARRAY_API=1 $(VISION)/bin/python -m pytest -q --durations=5 tests/vision

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The site, in docs/_build/html. Warnings are errors; every example of the gallery runs unless it has run before.
docs: $(VENV)/.installed-docs
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -b html -W --keep-going -q docs docs/_build/html

# What a maintainer does before tagging and uploading.
release-check: $(VENV)/.installed-docs
	$(BIN)/python .ci/release_check.py
	$(MAKE) lint docs check-dist

# Ratios measured in one run; ends non-zero where a goal is missed.
bench-speed: $(VENV)/.installed-test
	$(BIN)/python -W ignore benchmarks/speed.py --plot docs/speed.svg

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# The constraints pin what we test with; the pinned torch has a CPU build, an unpinned one brings several GB of CUDA.
$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install -q -c constraints.txt -e .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/pip install -q -c constraints.txt -e ".[test,lint]"
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/pip install -q -c constraints.txt -e ".[docs]"
	touch $@

# Without dependencies: torch's would bring more GB of CUDA than its import needs.
$(VISION)/.installed: constraints-vision.txt
	$(PYTHON) -m venv $(VISION)
	$(VISION)/bin/pip install -q --no-deps -r constraints-vision.txt -e .
	touch $@

clean:
	rm -rf $(VENV) $(VISION) build dist *.egg-info docs/_build docs/gallery docs/api/generated
