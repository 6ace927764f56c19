"""Imports point one way: a module may import only what stands above it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import spark_scoring

PACKAGE = Path(spark_scoring.__file__).parent

ORDER = [
    "worker",  # runs on executors, and knows nothing of the rest
    "redaction",
    "errors",
    "error_codes",  # the list of all codes, for people
    "jobs",  # the job file
    "spark",  # the session, and what Spark says
    "delta",  # tables, their history, one commit
    "models",  # which model, pinned
    "environment",  # its packages: compared, packed
    "contract",  # signature and schema
    "reading",  # what is scored
    "scoring",  # how
    "publishing",  # what becomes of it
    "record",  # what is written down
    "runs",  # the plan and the run
    "__init__",  # the public names
    "packaging",  # the job as a model of MLflow's
    "submit",
    "demo",
    "starter",  # the files of `init`
    "importing",  # job files from other tools' documents
    "cli",
    "deployments",  # the target of `mlflow deployments`
    "__main__",
]


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


# Programs that are started and never imported; they stand where `python -m spark_scoring` does.
PROGRAMS = {"submit/running/application.py", "environment/start.py", "spark/resolving/resolve_jars.py"}


def room(file: Path) -> str:
    """The first name below the package: `contract/check.py` belongs to contract."""
    place = file.relative_to(PACKAGE)
    return "__main__" if place.as_posix() in PROGRAMS else place.parts[0].removesuffix(".py")


def imports(file: Path) -> Iterator[str]:
    """Every module that `file` imports, anywhere in it; a relative one with its leading dots."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            whole_package = module == "spark_scoring"
            for alias in node.names:
                inner = PACKAGE / alias.name
                named_a_module = inner.is_dir() or inner.with_suffix(".py").is_file()
                yield f"{module}.{alias.name}" if whole_package and named_a_module else module


def rooms_imported(file: Path) -> set[str]:
    ours = [module.split(".") for module in imports(file) if module.split(".")[0] == "spark_scoring"]
    return {parts[1] if len(parts) > 1 else "__init__" for parts in ours}


@pytest.mark.parametrize("file", files(), ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_a_module_imports_only_from_rooms_above_its_own(file):
    own = room(file)
    assert own in ORDER, f"give {own} its place in ORDER"
    below = {name for name in rooms_imported(file) if ORDER.index(name) > ORDER.index(own)}
    assert not below, f"{own} imports {below}, which stand below it"


@pytest.mark.parametrize(
    "file", sorted((PACKAGE / "worker").rglob("*.py")), ids=lambda file: str(file.relative_to(PACKAGE))
)
def test_the_worker_imports_neither_pyspark_nor_the_rest_of_the_package(file):
    foreign = {module for module in imports(file) if module.split(".")[0] in {"pyspark", "py4j", "spark_scoring"}}
    depth = len(file.relative_to(PACKAGE / "worker").parts)
    upwards = {module for module in imports(file) if module.startswith("." * (depth + 1))}
    assert not foreign | upwards


def test_nothing_outside_the_tests_imports_the_tests():
    assert not [file for file in files() if any(module.split(".")[0] == "tests" for module in imports(file))]
