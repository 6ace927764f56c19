"""What `init` writes is a job that can be checked and scored as it is."""

import sys

import pytest
from deltalake import DeltaTable

from spark_scoring.cli import console, main


@pytest.mark.usefixtures("spark")
def test_the_job_that_init_writes_passes_check_and_scores(adds, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(console, "quiet", lambda: None)
    (tmp_path / "numbers.csv").write_text("id,a,b\n1,2.5,3\n2,4,5\n")

    def command(*words):
        monkeypatch.setattr(sys, "argv", ["spark-scoring", *words])
        code = main()
        said = capsys.readouterr()
        assert code == 0, said.err
        return said.out

    command("init", "--model", adds, "--input", "numbers.csv", "--output", "./sums", "--key", "id")
    assert "(new), mode error" in command("check")
    assert "2 in, 2 scored, 0 failed" in command("score")
    scored = DeltaTable(str(tmp_path / "sums")).to_pandas().sort_values("id")
    assert list(scored["prediction"]) == [5.5, 9.0]
