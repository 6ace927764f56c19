# Every target works from a fresh clone; `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help install demo test test-unit test-spark test-cluster test-full check lint bench lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## Create .venv with the locked dependencies, for development and tests

$(STAMP): .lock/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "Python 3.10 or newer is needed; name one: make PYTHON=python3.11 install" >&2; exit 2; }
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r .lock/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: install ## Train, register and score real flights into a Delta table, in ./spark-scoring-demo/
	@$(BIN)/spark-scoring demo

test: install ## Run the tests: unit, spark and cluster tiers
	@$(BIN)/python -m spark_scoring.session
	$(BIN)/python -m pytest -m "not full" tests/unit
	$(BIN)/python -m pytest -m "not full" tests/spark
	$(BIN)/python -m pytest -m "not full" tests/cluster

test-unit: install ## Run the unit tier alone: no JVM, seconds
	$(BIN)/python -m pytest tests/unit

test-spark: install ## Run the spark tier alone: one local session
	$(BIN)/python -m pytest -m "not full" tests/spark

test-cluster: install ## Run the cluster tier alone: a standalone cluster
	$(BIN)/python -m pytest -m "not full" tests/cluster

test-full: install ## Run all tests, with the heavy sweeps that `make test` leaves out
	$(BIN)/python -m pytest tests/unit
	$(BIN)/python -m pytest tests/spark
	$(BIN)/python -m pytest tests/cluster

lint: install ## Run ruff and strict mypy
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint test ## Run ruff, strict mypy and the tests

bench: install ## Time a 4-million-row job beside a plain spark_udf, in one run; appends to tests/bench/results.md
	$(BIN)/python -m tests.bench.run

lock: ## Resolve the locked dependencies anew (needs uv)
	uv pip compile --universal --python-version 3.10 --generate-hashes --quiet --no-emit-index-url --no-header --no-annotate --extra dev --constraint .lock/constraints.txt pyproject.toml -o .lock/dev.txt

clean: ## Remove what the targets made, but for .venv
	rm -rf spark-scoring-demo dist build spark-warehouse metastore_db derby.log .pytest_cache .mypy_cache .ruff_cache .hypothesis
