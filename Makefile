# Every target works from a fresh clone; `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
COMPAT := .venv-compat
COMPAT_STAMP := $(COMPAT)/.installed
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

.PHONY: help install demo test test-unit test-spark test-cluster test-full test-flavors test-compat check lint docs bench bench-check bench-failures lock clean

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
	$(BIN)/python -m pytest tests/places
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

$(COMPAT_STAMP): .lock/compat.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Python 3.11 is needed, the only one that Spark 3.5 and pandas 3 share; name it: make PYTHON=python3.11 test-compat" >&2; exit 2; }
	@test -d $(COMPAT) || $(PYTHON) -m venv $(COMPAT)
	$(COMPAT)/bin/python -m pip install --quiet --require-hashes -r .lock/compat.txt
	$(COMPAT)/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $(COMPAT_STAMP)

test-compat: $(COMPAT_STAMP) ## Run the unit and spark tiers on Spark 3.5 and pandas 3, in .venv-compat (needs Python 3.11)
	@$(COMPAT)/bin/python -m spark_scoring.spark.java
	$(COMPAT)/bin/python -m pytest $(OTHERS) $(TWO) -m "not full" tests/unit
	$(COMPAT)/bin/python -m pytest $(OTHERS) $(TWO) -m "not full" tests/spark

lint: install ## Run ruff and mypy, strict for the package
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: install ## Write what comes from the code: docs/errors.md, conf/databricks.yml
	$(BIN)/python -m spark_scoring.error_codes > docs/errors.md
	$(BIN)/python -m spark_scoring.starter.bundle > conf/databricks.yml

check: lint test ## Run ruff, mypy and the tests, as CI does

bench: install ## Time a 4-million-row job beside plain spark_udf jobs, in one run; results go to tests/bench/results.md
	$(BIN)/python -m tests.bench.run

bench-check: install ## Time it again, and say which ratios moved since the results that are kept
	$(BIN)/python -m tests.bench.run --check

bench-failures: install ## Time what staging and bad rows cost; appends to tests/bench/failures.md
	$(BIN)/python -m tests.bench.failures

lock: ## Resolve the locked dependencies anew (needs uv)
	$(COMPILE) --universal --python-version 3.10 --constraint .lock/constraints.txt pyproject.toml -o .lock/dev.txt
	$(COMPILE) --python-platform linux --python-version 3.11 --override .lock/compat-constraints.txt pyproject.toml -o .lock/compat.txt
	$(COMPILE) --extra flavors --no-emit-package triton --python-platform linux --python-version 3.11 --constraint .lock/dev.txt pyproject.toml -o .lock/flavors.txt

clean: ## Remove what the targets made, but for .venv
	rm -rf spark-scoring-demo dist build spark-warehouse metastore_db derby.log .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
