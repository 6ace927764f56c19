"""The digest: what "the same model" means."""

import hashlib
import shutil
from pathlib import Path

import pytest

from spark_scoring.worker.digest import model_digest


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
