"""The digest: what "the same model" means."""

import hashlib
import os
import pickle
import shutil
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import pytest

from spark_scoring.errors import ModelError
from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.models.pinned import fetch, pin
from spark_scoring.worker.digest import model_digest
from spark_scoring.worker.failures import ScoringFailedError
from spark_scoring.worker.models import load_once
from spark_scoring.worker.protocol import ModelFiles


@pytest.fixture
def copy(adds, tmp_path) -> Path:
    return Path(shutil.copytree(adds, tmp_path / "copy"))


def test_it_is_the_sha256_over_sorted_names_and_their_sha256(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "b").write_bytes(b"two")
    (tmp_path / "a").write_bytes(b"one")
    lines = [f"a\0{hashlib.sha256(b'one').hexdigest()}\n", f"inner/b\0{hashlib.sha256(b'two').hexdigest()}\n"]
    assert model_digest(str(tmp_path)) == "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()


def test_two_copies_have_one_digest(adds, copy):
    assert model_digest(str(copy)) == model_digest(adds)


def test_any_changed_byte_changes_it(adds, copy):
    files = [path for path in copy.rglob("*") if path.is_file()]
    assert files
    for file in files:
        whole = file.read_bytes()
        file.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
        assert model_digest(str(copy)) != model_digest(adds), file.name
        file.write_bytes(whole)
    assert model_digest(str(copy)) == model_digest(adds)


def test_a_renamed_file_changes_it(adds, copy):
    (copy / "adds.py").rename(copy / "sums.py")
    assert model_digest(str(copy)) != model_digest(adds)


def test_a_moved_file_changes_it(adds, copy):
    (copy / "code").mkdir()
    (copy / "adds.py").rename(copy / "code" / "adds.py")
    assert model_digest(str(copy)) != model_digest(adds)


def test_a_new_file_changes_it_even_an_empty_one(adds, copy):
    (copy / "more").touch()
    assert model_digest(str(copy)) != model_digest(adds)


def test_what_mlflow_adds_on_download_is_no_part_of_it(adds, copy):
    (copy / "registered_model_meta").write_text("model_name: flights")
    assert model_digest(str(copy)) == model_digest(adds)


def test_what_python_adds_on_import_is_no_part_of_it(adds, copy):
    (copy / "code" / "__pycache__").mkdir(parents=True)
    (copy / "code" / "__pycache__" / "adds.cpython-311.pyc").write_bytes(b"\0")
    assert model_digest(str(copy)) == model_digest(adds)


def _tampered(kind: str, folder: Path, outside: Path) -> None:
    if kind == "added":
        (folder / "sitecustomize.py").write_text("")
    elif kind == "changed":
        (folder / "python_model.pkl").write_bytes(b"other")
    elif kind == "removed":
        (folder / "requirements.txt").unlink()
    else:
        outside.write_bytes(b"other")


def _marking_model(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A model that writes a file as soon as anything of it runs, what it links to, and that file."""
    folder, outside, marker = tmp_path / "in" / "model", tmp_path / "outside", tmp_path / "ran"
    (folder / "code").mkdir(parents=True)
    outside.write_bytes(b"as logged")
    (folder / "code" / "marks.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    (folder / "python_model.pkl").write_bytes(pickle.dumps(_Marks(str(marker))))
    (folder / "requirements.txt").write_text("mlflow\n")
    (folder / "linked").symlink_to(outside)
    (folder / "MLmodel").write_text(
        "flavors: {python_function: {loader_module: marks, code: code, data: python_model.pkl, env: {}}}\n"
    )
    return folder, outside, marker


def test_the_marking_model_marks(tmp_path):
    folder, _, marker = _marking_model(tmp_path)
    with pytest.raises(ScoringFailedError):  # it is no more than its mark
        load_once(ModelFiles(model_digest(str(folder)), str(folder)), "")
    assert marker.exists()


def test_a_folder_that_others_may_write_to_takes_no_model(tmp_path, adds, monkeypatch):
    monkeypatch.setattr("spark_scoring.worker.models._loaded", OrderedDict())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / f"spark-scoring-{os.getuid()}").mkdir()
    (tmp_path / f"spark-scoring-{os.getuid()}").chmod(0o777)
    archive = shutil.make_archive(str(tmp_path / "model"), "zip", adds)
    monkeypatch.setattr("spark_scoring.worker.models.path_of_archive", lambda name: archive)
    found = load_once(ModelFiles(model_digest(adds), archive="model.zip"), "").folder
    assert not found.startswith(f"{tmp_path}/spark-scoring-{os.getuid()}/")


@pytest.mark.parametrize("kind", ["added", "changed", "removed", "symlink swapped"])
@pytest.mark.parametrize("way", ["driver", "path", "embedded", "archive"])
def test_nothing_of_a_changed_model_runs(way, kind, tmp_path, monkeypatch):
    """The loader module writes a marker file, and the model is a pickle that does so too: neither may."""
    folder, outside, marker = _marking_model(tmp_path)
    digest = model_digest(str(folder))
    _tampered(kind, folder, outside)
    if way == "driver":
        config = ModelConfig(uri=str(folder), digest=digest)
        with pytest.raises(ModelError) as refused:
            fetch(pin(config), config)
        assert refused.value.code == "digest_mismatch"
    else:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        locator = ModelFiles(digest, str(folder))
        if way == "embedded":
            locator = ModelFiles(digest, embedded="model")
        elif way == "archive":
            archive = shutil.make_archive(str(tmp_path / "model"), "zip", folder)
            monkeypatch.setattr("spark_scoring.worker.models.path_of_archive", lambda name: archive)
            locator = replace(locator, archive="model.zip")
        with pytest.raises(ScoringFailedError) as failed:
            load_once(locator, str(tmp_path / "in"))
        assert failed.value.failure.code == "digest_mismatch"
    assert not marker.exists()


class _Marks:
    """A pickle whose loading writes a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_folder_behind_a_link_is_a_part_of_the_model(tmp_path, adds):
    """MLflow imports the code that lies there."""
    folder = Path(shutil.copytree(adds, tmp_path / "model"))
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "x.py").write_text("x = 1")
    (folder / "code").symlink_to(tmp_path / "code")
    (folder / "code" / "loop").symlink_to(folder)
    before = model_digest(str(folder))
    (tmp_path / "code" / "x.py").write_text("x = 2")
    assert before != model_digest(str(folder)) != model_digest(adds)
