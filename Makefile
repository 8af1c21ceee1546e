# Two commands do it all: make demo, make test. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOWEST := .venv-lowest
PEERS := .venv-peers
PINS := --quiet --upgrade --universal --python-version 3.10 --all-extras --group dev \
  --no-header --no-annotate --no-emit-package onerouter-integrations

.DEFAULT_GOAL := help
.PHONY: help demo test lint test-lowest bench notebooks pins clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.made ## Show both frameworks at work, on the simulator or with ONEROUTER_API_KEY live
	@$(BIN)/python examples/demo.py

test: lint ## Lint, type-check and test
	$(BIN)/pytest --cov --cov-report=term

lint: $(VENV)/.made ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test-lowest: $(LOWEST)/.made ## Test on the oldest versions that pyproject.toml allows
	$(LOWEST)/bin/pytest -p no:cacheprovider --ignore=tests/test_notebooks.py

bench: $(VENV)/.made ## Print what a streamed chunk costs
	$(BIN)/python benchmarks/chunk_cost.py

notebooks: $(VENV)/.made ## Run the notebooks and keep their outputs
	$(BIN)/python notebooks/run.py

pins: $(VENV)/.made ## Resolve both constraints files anew, for every Python we support
	$(BIN)/pip install --quiet uv
	$(BIN)/python -m uv pip compile $(PINS) --output-file constraints.txt pyproject.toml
	$(BIN)/python -m uv pip compile $(PINS) --resolution lowest-direct \
	  --output-file constraints-lowest.txt pyproject.toml
	$(BIN)/python -m uv pip compile $(PINS) --group peers \
	  --output-file constraints-peers.txt pyproject.toml

clean: ## Remove what was made
	rm -rf $(VENV) $(LOWEST) $(PEERS) .coverage* .mypy_cache .pytest_cache .ruff_cache dist

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
