# Every target works from a fresh clone; `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PLACES := .venv-places
AZURITE := $(PLACES)/.installed
FLAVORS := .venv-flavors
FLAVORS_STAMP := $(FLAVORS)/.installed
# Two at once: a test of a few rows keeps less than one core busy.
TWO := -n 2 --dist loadfile
# Of the unit tier alone; what needs a session is the other tiers' to cover. `coverage report -m` shows which lines.
COVERAGE := --cov --cov-report= --cov-fail-under=70
# A warning is an error for the packages of .venv alone: other versions warn of other things.
OTHERS := -W default
# Extras are kept: pip looks at a package's newest version where another asks for it with an extra that is not locked.
COMPILE := uv pip compile --generate-hashes --quiet --no-strip-extras --no-emit-index-url --no-header --no-annotate --extra dev

.PHONY: help install demo test test-unit test-spark test-cluster test-full test-flavors test-places test-matrix check lint docs bench bench-check bench-failures lock clean

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
	@$(BIN)/python -m spark_scoring.spark.java
	$(BIN)/python -m pytest $(TWO) $(COVERAGE) -m "not full" tests/unit
	$(BIN)/python -m pytest $(TWO) -m "not full" tests/spark
	$(BIN)/python -m pytest $(TWO) -m "not full" tests/cluster

test-unit: install ## Run the unit tier alone: no JVM, seconds
	$(BIN)/python -m pytest $(TWO) $(COVERAGE) tests/unit

test-spark: install ## Run the spark tier alone: local sessions
	$(BIN)/python -m pytest $(TWO) -m "not full" tests/spark

test-cluster: install ## Run the cluster tier alone: a standalone cluster
	$(BIN)/python -m pytest $(TWO) -m "not full" tests/cluster

test-full: install ## Run all tests, with the heavy sweeps that `make test` leaves out
	$(BIN)/python -m pytest $(TWO) tests/unit
	$(BIN)/python -m pytest $(TWO) --production tests/spark
	$(BIN)/python -m pytest $(TWO) tests/cluster
	$(MAKE) test-flavors

# Without dependencies of its own: the lock leaves out triton, 1 GB that TensorFlow does not bear in the same process.
$(FLAVORS_STAMP): .lock/flavors.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Python 3.11 on Linux is needed, for which the packages are locked; name it: make PYTHON=python3.11 test-flavors" >&2; exit 2; }
	@test -d $(FLAVORS) || $(PYTHON) -m venv $(FLAVORS)
	$(FLAVORS)/bin/python -m pip install --quiet --no-deps --require-hashes -r .lock/flavors.txt
	$(FLAVORS)/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $(FLAVORS_STAMP)

test-flavors: $(FLAVORS_STAMP) ## Score models of every flavor, also Keras, TensorFlow, PyTorch, transformers, prophet, in .venv-flavors (6 GB; needs Python 3.11)
	$(FLAVORS)/bin/python -m pytest $(OTHERS) tests/spark/test_flavors.py

$(AZURITE): tests/places/azurite/package-lock.json
	@mkdir -p $(PLACES)
	cp tests/places/azurite/package.json tests/places/azurite/package-lock.json $(PLACES)/
	npm ci --prefix $(PLACES) --no-audit --no-fund --silent
	@touch $(AZURITE)

test-places: install $(AZURITE) ## Run every mode on S3, Azure and HDFS, each by a server on this machine, and submit to YARN (needs Node.js)
	$(BIN)/python -m pytest tests/places

test-matrix: install ## Run what depends on versions with each combination of Spark, Delta, MLflow, Python and pandas (7 GB); ONLY=TEXT chooses some
	$(BIN)/python -m tests.matrix.run $(ONLY)

lint: install ## Run ruff and mypy, strict for the package
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: install ## Write what comes from the code and from what tests saw: docs/errors.md, docs/what-runs-where.md, conf/databricks.yml
	$(BIN)/python -m spark_scoring.error_codes > docs/errors.md
	$(BIN)/python -m spark_scoring.starter.bundle > conf/databricks.yml
	$(BIN)/python -m tests.what_runs_where > docs/what-runs-where.md

check: lint test ## Run ruff, mypy and the tests, as CI does

bench: install ## Time a 4-million-row job beside plain spark_udf jobs, in one run; results go to tests/bench/results.md
	$(BIN)/python -m tests.bench.run

bench-check: install ## Time it again, and say which ratios moved since the results that are kept
	$(BIN)/python -m tests.bench.run --check

bench-failures: install ## Time what staging and bad rows cost; appends to tests/bench/failures.md
	$(BIN)/python -m tests.bench.failures

lock: ## Resolve the locked dependencies anew (needs uv)
	$(COMPILE) --universal --python-version 3.10 --constraint .lock/constraints.txt pyproject.toml -o .lock/dev.txt
	$(COMPILE) --extra flavors --no-emit-package triton --python-platform linux --python-version 3.11 --constraint .lock/dev.txt pyproject.toml -o .lock/flavors.txt
	$(BIN)/python -m tests.matrix.run --lock

clean: ## Remove what the targets made, but for .venv
	rm -rf spark-scoring-demo dist build spark-warehouse metastore_db derby.log .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
