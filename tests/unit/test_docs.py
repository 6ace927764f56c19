"""What the docs show is what the code does."""

from pathlib import Path

from spark_scoring.contract.matrix import TABLE
from tests.flavors.table import table

DOCS = Path(__file__).parents[2] / "docs"


def test_the_docs_show_the_very_table_that_decides():
    assert TABLE.strip() in (DOCS / "contract.md").read_text(encoding="utf-8")


def test_the_docs_show_the_very_models_that_the_tests_score():
    assert table() in (DOCS / "models.md").read_text(encoding="utf-8"), "python -m tests.flavors prints it"
