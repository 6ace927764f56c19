"""A place that can't be used is called what it is to the job: the target, the quarantine, the runs table; no JVM."""

import pytest

from spark_scoring.delta.table import refuse_foreign_files
from spark_scoring.errors import TargetError
from spark_scoring.jobs.config import OutputConfig
from spark_scoring.record.runs_table import append_row

KINDS = ("the target", "the quarantine", "the runs table", "the staging table")


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_of_other_files_is_refused_by_its_name(tmp_path, kind):
    (tmp_path / "other.csv").touch()
    with pytest.raises(TargetError, match=f"^{kind} {tmp_path} exists and is not a Delta table"):
        refuse_foreign_files(str(tmp_path), kind)
    with pytest.raises(TargetError, match=f"^{kind} {tmp_path}/other.csv/x lies below"):
        refuse_foreign_files(str(tmp_path / "other.csv" / "x"), kind)


def test_the_runs_table_is_never_called_the_target(tmp_path):
    (tmp_path / "other.csv").touch()
    with pytest.raises(TargetError, match=f"^the runs table {tmp_path} exists"):
        append_row(None, None, OutputConfig(path=str(tmp_path)), {})
