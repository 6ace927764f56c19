"""What the docs show is what the code does."""

import ast
import re
from pathlib import Path

import pytest

from spark_scoring.contract.matrix import TABLE
from tests.flavors.table import table
from tests.what_runs_where import page as page_of_places

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
PATH = re.compile(r"(?<![\w./-])(?:spark_scoring|tests|docs|conf|notebooks|\.lock|\.ci)/[\w./*-]*[\w/*](?:::\w+)?")
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")


def test_the_docs_show_the_very_table_that_decides():
    assert TABLE.strip() in (DOCS / "contract.md").read_text(encoding="utf-8")


def test_the_docs_show_the_very_models_that_the_tests_score():
    assert table() in (DOCS / "models.md").read_text(encoding="utf-8"), "python -m tests.flavors prints it"


def test_the_page_of_places_and_versions_is_what_the_tests_saw():
    assert (DOCS / "what-runs-where.md").read_text(encoding="utf-8") == page_of_places(), "make docs writes it"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_path_that_a_page_names_is_there(page):
    text = page.read_text(encoding="utf-8")
    missing = [name for name in PATH.findall(text) if not there(name)]
    missing += [name for name in LINK.findall(text) if not (page.parent / name).exists()]
    assert not missing, f"{page.relative_to(ROOT)} names {', '.join(missing)}"


def there(name: str) -> bool:
    """Tells whether a path from the root is there, or, behind ``::``, a test in it."""
    path, _, test = name.partition("::")
    if not any(ROOT.glob(path.rstrip("/"))):
        return False
    if not test:
        return True
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef) and node.name == test for node in tree.body)


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md", "docs/errors.md"])
def test_what_a_newcomer_looks_for_is_there(name):
    assert (ROOT / name) in PAGES
