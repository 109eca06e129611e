# The commands of this project; each installs what it needs.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test check notebook format benchmark deployment mutants clean

run: .venv/.service ## Serve on http://127.0.0.1:8000; CHAPTERHOUSE_PORT moves it.
	exec $(BIN)/chapterhouse serve

test: .venv/.development ## Run the tests.
	$(BIN)/python -m pytest

check: .venv/.development ## All that has to hold: format, lint, types, layers, tests with coverage.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest --cov --cov-report=term

notebook: .venv/.development ## Run docs/python.md as a notebook, in a kernel.
	$(BIN)/python -m pip install --quiet --editable '.[notebook]'
	$(BIN)/python -m pytest -m notebook

format: .venv/.development ## Format, and mend what can be mended.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

benchmark: .venv/.development ## Requests per second and latency, beside a plain FastAPI endpoint and torch alone.
	$(BIN)/python benchmarks/serving.py

deployment: .venv/.development ## Carry out the Dockerfile and the compose file without Docker.
	$(BIN)/python -m deploy.native

mutants: .venv/.mutants ## Put faults into the code, one at a time: docs/mutants.md must name all that no test notices.
	$(BIN)/python tests/faults.py

clean: ## Remove what the other commands made.
	rm -rf .venv mutants .coverage .mypy_cache .pytest_cache .ruff_cache .import_linter_cache dist

.venv/.service: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/.development: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@ .venv/.service

.venv/.mutants: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev,mutants]'
	touch $@ .venv/.development .venv/.service
