# Two commands: `make demo` and `make test`. Each does all the set-up it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test setup setup-test setup-train test-train check compiled lock clean

demo: setup
	$(BIN)/labelwatch demo

# Hundreds of processes import the same modules: they are compiled once, whatever the environment says of bytecode.
test: export PYTHONDONTWRITEBYTECODE =
test: setup-test
	$(MAKE) -j2 check compiled
	$(BIN)/pytest -q -n auto --durations=12

# Each process of the suite would compile every test by itself; what fails here is told by the suite.
compiled: $(VENV)/.dev
	@$(BIN)/pytest -q --collect-only > /dev/null 2>&1 || true

check: $(VENV)/.dev
	$(BIN)/ruff format --check detector tests models
	$(BIN)/ruff check detector tests models
	$(BIN)/mypy

setup: $(VENV)/.done

$(VENV)/.done: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' || { echo "labelwatch needs Python 3.11 to 3.14 (of later ones numpy and onnxruntime had no wheels yet); name one with: make PYTHON=python3.13 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .
	sh .ci/system-packages run
	touch $@

setup-test: $(VENV)/.dev
	sh .ci/system-packages test

$(VENV)/.dev: $(VENV)/.done requirements-dev.lock
	$(BIN)/python -m pip install -q --require-hashes -r requirements-dev.lock
	touch $@

# Both locks anew, from the ranges in pyproject.toml.
lock:
	$(PYTHON) -m venv build/uv && build/uv/bin/python -m pip install -q uv
	build/uv/bin/uv pip compile pyproject.toml --extra build --universal --fork-strategy fewest --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links -q -o requirements.lock
	build/uv/bin/uv pip compile pyproject.toml --extra build --extra dev --universal --fork-strategy fewest --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links -q -c requirements.lock -o requirements-dev.lock

# Training brings torch, some gigabytes of it on a machine with a GPU, and so has an environment of its own.
setup-train: .venv-train/.done

.venv-train/.done: models/requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv-train
	.venv-train/bin/python -m pip install -q -e . -r models/requirements.txt
	touch $@

test-train: setup-train
	.venv-train/bin/python -m pytest -q -W default models

clean:
	rm -rf $(VENV) .venv-train demo-data build *.egg-info
