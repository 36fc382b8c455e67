# make demo and make test do all of the set-up on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The core of the suite, for other releases of Python and of what we depend on. Without compilation, on which aeon's checks
# would spend minutes, and which nothing of ours needs.
CORE := -m pytest -q -n auto --maxprocesses 4 --dist worksteal tests/test_base.py tests/test_golden.py \
    tests/test_bad_input.py tests/test_habits.py tests/persistence/test_loading.py tests/series/test_containers.py
WITHOUT_JIT := NUMBA_DISABLE_JIT=1 OMP_NUM_THREADS=1 SCIPY_ARRAY_API=1

# Environments are kept.
.SECONDARY:
.PHONY: demo test test-cuda test-vision test-lowest lint docs check-dist release-check bench-speed clean

demo: $(VENV)/.installed
	$(BIN)/python docs/examples/demo.py

test: $(VENV)/.installed-test
	OMP_NUM_THREADS=1 SCIPY_ARRAY_API=1 $(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist worksteal --durations=10

# Where there is a GPU: in an environment that has a torch for it.
test-cuda:
	CUDA_VISIBLE_DEVICES=0 OMP_NUM_THREADS=1 SCIPY_ARRAY_API=1 $(PYTHON) -m pytest -q tests/test_device.py tests/test_base.py

# Image networks, apart from the core suite: torchvision does not import beside its CPU-only torch.
test-vision: .venv-vision/.installed
	SCIPY_ARRAY_API=1 .venv-vision/bin/python -m pytest -q --durations=5 tests/vision

# The oldest releases that pyproject.toml allows, and tsml-eval, which needs old ones.
test-lowest: .venv-lowest/.installed
	$(WITHOUT_JIT) .venv-lowest/bin/python $(CORE) tests/lowest

# For example test-python3.13, on the newest releases of constraints-vision.txt.
test-python%: .venv-python%/.installed
	$(WITHOUT_JIT) .venv-python$*/bin/python $(CORE)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# sdist and wheel, what is in them, and the demo in an empty environment, from the wheel alone.
check-dist: $(VENV)/.installed-test
	rm -rf dist .venv-dist
	$(BIN)/python -m build -o dist .
	$(BIN)/twine check --strict dist/*
	$(BIN)/python -m pytest -q tests/distribution
	$(PYTHON) -m venv .venv-dist
	.venv-dist/bin/pip install -q -c constraints.txt dist/*.whl
	cp docs/examples/demo.py dist/ && cd dist && ../.venv-dist/bin/python demo.py

# The site, in docs/_build/html. Warnings are errors; every example of the gallery runs unless it has run before.
docs: $(VENV)/.installed-docs
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -b html -W --keep-going -q docs docs/_build/html

# What a maintainer does before tagging and uploading.
release-check: $(VENV)/.installed-docs
	$(BIN)/python .ci/release_check.py
	$(MAKE) lint docs check-dist

# Ratios measured in one run; ends non-zero where a goal is missed.
bench-speed: $(VENV)/.installed-test
	$(BIN)/python -W ignore -m benchmarks.speed.ratios --plot docs/speed.svg

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
.venv-%/.installed: constraints-%.txt
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/pip install -q --no-deps -r $< -e .
	touch $@

.venv-python%/.installed: constraints-vision.txt
	PYENV_VERSION=$* python$* -m venv .venv-python$*
	.venv-python$*/bin/pip install -q --no-deps -r $< -e .
	touch $@

clean:
	rm -rf $(VENV) .venv-* build dist *.egg-info docs/_build docs/gallery docs/api/generated docs/api/examples docs/figures/thumb-*.png
