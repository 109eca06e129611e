# The commands of this project; each installs what it needs.

PYTHON ?= python3
BIN := .venv/bin
FUZZ_SECONDS ?= 600

.PHONY: run test check notebook format benchmark series deployment mutants fuzz clean

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

series: .venv/.series ## Forecast five real series beside Holt–Winters, and write docs/series.md.
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/series.py --write

deployment: .venv/.development ## Carry out the Dockerfile and the compose file without Docker.
	$(BIN)/python -m deploy.native

mutants: .venv/.mutants ## Put faults into the code, one at a time: docs/mutants.md must name all that no test notices.
	$(BIN)/python tests/faults.py

fuzz: .venv/.fuzz ## Look for requests and bytes that break a promise, FUZZ_SECONDS for each kind of bytes.
	$(BIN)/python -m pytest --hypothesis-profile=search tests/fuzz
	$(BIN)/python tests/fuzz/guided.py --seconds $(FUZZ_SECONDS)

clean: ## Remove what the other commands made.
	rm -rf .venv mutants fuzz-found .coverage .mypy_cache .pytest_cache .ruff_cache .import_linter_cache dist

.venv/.service: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/.development: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@ .venv/.service

.venv/.series: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[series]'
	touch $@ .venv/.service

.venv/.mutants: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev,mutants]'
	touch $@ .venv/.development .venv/.service

.venv/.fuzz: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev,fuzz]'
	touch $@ .venv/.development .venv/.service
