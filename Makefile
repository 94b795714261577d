PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo test test-all fuzz lint docs format clean

# Installed anew when the requirements change; torch comes at the tested version through the constraints.
.venv/installed: pyproject.toml constraints.txt
	@test -x $(BIN)/python || { echo "Creating the Python environment .venv"; $(PYTHON) -m venv .venv; }
	@echo "Installing morlight and its requirements into .venv; the first time takes minutes (torch is large)"
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

install: .venv/installed

demo: install
	@echo "Demo: simulates walkers, learns their equation and predicts; a few minutes on two cores"
	$(BIN)/python -m experiments.demo

test: install
	@echo "Tests, except those marked slow (make test-all)"
	$(BIN)/python -m pytest -m "not slow" -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test-all: install
	$(BIN)/python -m pytest

fuzz: install
	@echo "Spoiled inputs of every kind, each with limits of time and memory; some minutes"
	$(BIN)/python -m tests.fuzz.run --count 2500

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo build/site/index.html

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build *.egg-info
