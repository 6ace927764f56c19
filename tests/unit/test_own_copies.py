"""A model's files are copied into this user's own folder, verified there, and loaded from there alone."""

from __future__ import annotations

import os
import py_compile
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from spark_scoring.errors import ModelError
from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.models.own_files import files_in_place, own_files
from spark_scoring.models.pinned import fetch, pin
from spark_scoring.worker import own_copies
from spark_scoring.worker.digest import hashed_files, model_digest, unhashed_files
from spark_scoring.worker.failures import ScoringFailedError
from spark_scoring.worker.models import load_once
from spark_scoring.worker.own_copies import ChangedError, copy_model, own_copy, own_folder, verified
from spark_scoring.worker.protocol import ModelFiles

LOADER = "class M:\n    def predict(self, x): return [__doc__] * len(x)\ndef _load_pyfunc(_): return M()\n"


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spark_scoring.worker.models._loaded", OrderedDict())


def model(folder: Path, name: str) -> Path:
    """A model whose loader is a module of this name in its code folder."""
    (folder / "code").mkdir(parents=True)
    (folder / "code" / f"{name}.py").write_text(f'"""as logged"""\n{LOADER}')
    (folder / "MLmodel").write_text(f"flavors: {{python_function: {{loader_module: {name}, code: code, env: {{}}}}}}\n")
    return folder


def plant_bytecode(folder: Path, name: str) -> Path:
    """Puts other code beside the module, as bytecode that Python takes without a look at the source."""
    evil = folder.parent / "evil.py"
    evil.write_text(f'"""planted"""\n{LOADER}')
    cache = folder / "code" / "__pycache__"
    cache.mkdir()
    target = cache / f"{name}.{sys.implementation.cache_tag}.pyc"
    py_compile.compile(str(evil), str(target), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    return target


@contextmanager
def as_somebody() -> Iterator[None]:
    """Runs as a user whom a file's mode binds, which root's is not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def said_by(locator: ModelFiles, folder: str = "") -> str:
    """What the model says once a worker has loaded it."""
    return str(load_once(locator, folder).model.predict([1])[0])


def test_the_planted_bytecode_would_run(tmp_path):
    folder = model(tmp_path / "model", "would_run")
    plant_bytecode(folder, "would_run")
    code = f"import sys; sys.path.insert(0, {str(folder / 'code')!r}); import would_run; print(would_run.__doc__)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "planted\n"


@pytest.mark.parametrize("way", ["path", "copies of the driver", "embedded", "archive"])
def test_bytecode_that_no_digest_covers_does_not_run(way, tmp_path, monkeypatch):
    name = f"planted_{way.split()[0]}"
    folder = model(tmp_path / "in" / "model", name)
    digest = model_digest(str(folder))
    plant_bytecode(folder, name)
    assert model_digest(str(folder)) == digest
    locator = ModelFiles(digest, str(folder))
    if way == "copies of the driver":
        (tmp_path / "copies").mkdir(mode=0o700)
        locator = replace(locator, copies=str(tmp_path / "copies"))
    elif way == "embedded":
        locator = ModelFiles(digest, embedded="model")
    elif way == "archive":
        clean = tmp_path / "clean"
        clean.mkdir()
        copy_model(str(folder), str(clean))
        archive = shutil.make_archive(str(tmp_path / "model"), "zip", clean)
        monkeypatch.setattr("spark_scoring.worker.models.path_of_archive", lambda name: archive)
        locator = ModelFiles(digest, archive="model.zip")
    assert said_by(locator, str(tmp_path / "in")) == "as logged"
    if way == "copies of the driver":
        assert os.listdir(own_folder()) == []


def test_an_archive_that_holds_bytecode_is_refused(tmp_path, monkeypatch):
    folder = model(tmp_path / "model", "in_archive")
    digest = model_digest(str(folder))
    plant_bytecode(folder, "in_archive")
    archive = shutil.make_archive(str(tmp_path / "model"), "zip", folder)
    monkeypatch.setattr("spark_scoring.worker.models.path_of_archive", lambda name: archive)
    with pytest.raises(ScoringFailedError) as failed:
        load_once(ModelFiles(digest, archive="model.zip"), "")
    assert failed.value.failure.code == "digest_mismatch"


def test_a_large_model_is_loaded_in_place_and_refused_with_bytecode(tmp_path, monkeypatch):
    monkeypatch.setattr(own_copies, "LARGEST_COPY", 10)
    folder = model(tmp_path / "model", "large_one")
    digest = model_digest(str(folder))
    planted = plant_bytecode(folder, "large_one")
    with pytest.raises(ScoringFailedError) as failed:
        load_once(ModelFiles(digest, str(folder)), "")
    assert failed.value.failure.code == "digest_mismatch"
    assert str(planted.relative_to(folder)) in failed.value.failure.message
    shutil.rmtree(planted.parent)
    (folder / "registered_model_meta").write_text("model_name: large")
    assert load_once(ModelFiles(digest, str(folder)), "").folder == str(folder)
    assert not planted.parent.exists(), "loading leaves no bytecode in the model's folder"


def test_what_is_swapped_after_verification_is_not_loaded(tmp_path):
    folder = model(tmp_path / "model", "swapped")
    digest = model_digest(str(folder))
    place = verified(str(folder), digest)
    (folder / "code" / "swapped.py").write_text("raise SystemExit")
    assert model_digest(place.folder) == digest
    assert said_by(ModelFiles(digest, str(folder))) == "as logged"


def test_what_is_changed_while_it_is_copied_is_refused(tmp_path):
    folder = model(tmp_path / "model", "meanwhile")
    digest = model_digest(str(folder))
    (folder / "code" / "meanwhile.py").write_text("raise SystemExit")
    with pytest.raises(ChangedError):
        own_copy(digest, partial(copy_model, str(folder)), own_folder())
    assert [name for name in os.listdir(own_folder()) if not name.endswith(".lock")] == []


def test_a_copy_holds_the_hashed_files_and_no_others(tmp_path):
    folder = model(tmp_path / "above" / "model", "exact")
    (folder / ".hidden").write_text("a part of it")
    (folder / "code" / "old.pyc").write_bytes(b"bytecode without a source is hashed")
    (tmp_path / "above" / "beside.py").write_text("not a part of it")
    (folder / "code" / "up").symlink_to(tmp_path / "above")
    (folder / "code" / "dangling").symlink_to(tmp_path / "nowhere")
    (folder / "linked.txt").symlink_to(folder / "MLmodel")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "data").write_text("a part of it")
    (folder / "data").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(folder / "fifo")
    (folder / "program").write_text("#!/bin/sh")
    (folder / "program").chmod(0o755)
    (folder / "registered_model_meta").write_text("model_name: exact")
    plant_bytecode(folder, "exact")
    digest = model_digest(str(folder))
    copied = Path(verified(str(folder), digest).folder)
    files = {path.relative_to(copied).as_posix() for path in copied.rglob("*") if not path.is_dir()}
    assert files == set(hashed_files(folder))
    assert files == {
        ".hidden",
        "MLmodel",
        "code/exact.py",
        "code/old.pyc",
        "data/data",
        "linked.txt",
        "program",
    }
    assert set(unhashed_files(folder)) == {
        f"code/__pycache__/exact.{sys.implementation.cache_tag}.pyc",
        "code/dangling",
        "code/up",
        "fifo",
        "registered_model_meta",
    }
    assert not any(path.is_symlink() for path in copied.rglob("*"))
    assert os.access(copied / "program", os.X_OK)
    assert model_digest(str(copied)) == digest


def test_bytecode_that_gets_into_a_copy_is_not_read(tmp_path):
    folder = model(tmp_path / "model", "own_bytecode")
    digest = model_digest(str(folder))
    first = verified(str(folder), digest)
    plant_bytecode(Path(first.folder), "own_bytecode")
    second = verified(str(folder), digest)
    assert second.folder != first.folder, "the first is in use, and not to be taken from its process"
    assert unhashed_files(Path(second.folder)) == []
    first.lock.close()
    assert verified(str(folder), digest).folder == first.folder
    assert unhashed_files(Path(first.folder)) == []


def test_a_model_that_fills_its_folder_is_copied_anew(tmp_path):
    folder = model(tmp_path / "model", "writes")
    digest = model_digest(str(folder))
    first = verified(str(folder), digest)
    first.lock.close()
    (Path(first.folder) / "cache.bin").write_bytes(b"0")
    assert model_digest(verified(str(folder), digest).folder) == digest


def test_processes_that_come_at_once_share_one_copy(tmp_path):
    folder = model(tmp_path / "model", "at_once")
    digest = model_digest(str(folder))
    fills, places = [], []

    def fill(target: str) -> None:
        fills.append(target)
        time.sleep(0.2)
        copy_model(str(folder), target)

    threads = [
        threading.Thread(target=lambda: places.append(own_copy(digest, fill, own_folder())), daemon=True)
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(places) == 8
    assert len({place.folder for place in places}) == 1
    assert len(fills) == 1


def test_a_copy_that_was_left_half_made_is_made_again(tmp_path):
    folder = model(tmp_path / "model", "half_made")
    digest = model_digest(str(folder))
    left = Path(own_folder()) / f"{digest.replace(':', '-')}.new"
    left.mkdir()
    (left / "half").write_text("")
    place = verified(str(folder), digest)
    assert model_digest(place.folder) == digest
    assert not left.exists()


def copies(root: str) -> list[str]:
    return sorted(name for name in os.listdir(root) if not name.endswith(".lock"))


def made(tmp_path: Path, number: int) -> own_copies.Place:
    folder = model(tmp_path / f"model{number}", f"evicted{number}")
    return verified(str(folder), model_digest(str(folder)))


@pytest.mark.parametrize("bound", ["_MOST_COPIES", "_MOST_BYTES"])
def test_beyond_the_bound_the_copy_that_was_unused_longest_goes(bound, tmp_path, monkeypatch):
    folders = []
    for number in range(5):
        place = made(tmp_path, number)
        size = sum(path.stat().st_size for path in Path(place.folder).rglob("*") if path.is_file())
        monkeypatch.setattr(own_copies, bound, 3 if bound == "_MOST_COPIES" else 3 * size)
        os.utime(place.lock.name, (number, number))
        place.lock.close()
        folders.append(os.path.basename(place.folder))
    kept = copies(own_folder())
    assert folders[4] in kept
    assert folders[0] not in kept
    assert len(kept) == 3
    assert {name.removesuffix(".lock") for name in os.listdir(own_folder())} == set(kept)


def test_a_copy_in_use_is_not_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(own_copies, "_MOST_COPIES", 1)
    used = made(tmp_path, 0)
    for number in range(1, 4):
        made(tmp_path, number).lock.close()
    assert model_digest(used.folder)
    assert len(copies(own_folder())) == 2
    used.lock.close()
    made(tmp_path, 4).lock.close()
    assert len(copies(own_folder())) == 1


def test_a_model_that_a_process_loaded_is_in_use_until_it_drops_it(tmp_path, monkeypatch):
    monkeypatch.setattr(own_copies, "_MOST_COPIES", 0)
    monkeypatch.setattr("spark_scoring.worker.models._CAPACITY", 1)
    folders = [model(tmp_path / f"model{number}", f"dropped{number}") for number in range(3)]
    loaded = [load_once(ModelFiles(model_digest(str(folder)), str(folder)), "").folder for folder in folders]
    assert [os.path.isdir(folder) for folder in loaded] == [False, True, True], (
        "the last dropped one is not yet looked at"
    )


@pytest.mark.parametrize("taken", ["a file", "a link", "a folder that others may write to", "another user's", "a fifo"])
def test_whoever_takes_the_folder_s_name_first_gets_no_model(taken, tmp_path, own_temporary_folder):
    if taken == "another user's" and os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    name = own_temporary_folder / f"spark-scoring-{os.getuid()}"
    if taken == "a file":
        name.write_text("")
    elif taken == "a link":
        (tmp_path / "theirs").mkdir(mode=0o700)
        name.symlink_to(tmp_path / "theirs")
    elif taken == "a fifo":
        os.mkfifo(name)
    else:
        name.mkdir()
        name.chmod(0o777 if "others" in taken else 0o700)
        if taken == "another user's":
            os.chown(name, 65534, 65534)
    folder = model(tmp_path / "model", f"taken_{taken.split()[-1].replace(chr(39), '')}")
    locator = ModelFiles(model_digest(str(folder)), str(folder))
    place = load_once(locator, "").place
    own = Path(place.folder).parent
    assert own != name
    assert own.parent == own_temporary_folder
    assert stat.S_IMODE(own.stat().st_mode) == 0o700
    assert own_folder() == str(own), "the next process takes the same one"
    assert not (tmp_path / "theirs").exists() or list((tmp_path / "theirs").iterdir()) == []


def test_the_driver_s_folder_is_not_believed_where_others_may_write_to_it(tmp_path):
    (tmp_path / "copies").mkdir()
    (tmp_path / "copies").chmod(0o777)
    folder = model(tmp_path / "model", "not_believed")
    place = load_once(ModelFiles(model_digest(str(folder)), str(folder), copies=str(tmp_path / "copies")), "")
    assert place.folder.startswith(own_folder())


def test_without_room_for_a_copy_the_model_is_loaded_in_place(tmp_path, monkeypatch):
    folder = model(tmp_path / "model", "no_room")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    locator = ModelFiles(model_digest(str(folder)), str(folder))
    assert load_once(locator, "").folder == str(folder)
    assert not (folder / "code" / "__pycache__").exists()


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_model_file_that_can_t_be_read_is_told_by_name(what, tmp_path):
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    folder = model(tmp_path / "model", f"unreadable_{what}")
    digest = model_digest(str(folder))
    closed = folder / "code" / f"unreadable_{what}.py" if what == "file" else folder / "code"
    closed.chmod(0)
    try:
        with as_somebody():
            with pytest.raises(ModelError) as refused:
                pin(ModelConfig(uri=str(folder)))
            with pytest.raises(ScoringFailedError) as failed:
                load_once(ModelFiles(digest, str(folder)), "")
    finally:
        closed.chmod(0o755)
    assert refused.value.code == "model_not_loadable"
    assert str(closed) in refused.value.message
    assert failed.value.failure.code == "model_not_loadable"
    assert "Permission denied" in failed.value.failure.message
    assert str(closed) in failed.value.failure.message


def test_a_name_that_is_no_text_is_told(tmp_path):
    folder = model(tmp_path / "model", "no_text")
    with open(os.fsencode(folder) + b"/\xff", "w"):
        pass
    with pytest.raises(ModelError) as caught:
        pin(ModelConfig(uri=str(folder)))
    assert caught.value.code == "model_not_loadable"


def test_links_that_multiply_files_without_end_are_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr("spark_scoring.worker.digest._MOST_FILES", 100)
    folder = model(tmp_path / "model", "multiplied")
    for depth in range(30):
        (tmp_path / f"level{depth}").mkdir()
        for name in "ab":
            (tmp_path / f"level{depth}" / name).symlink_to(tmp_path / f"level{depth + 1}")
    (tmp_path / "level30").mkdir()
    (folder / "data").symlink_to(tmp_path / "level0")
    with pytest.raises(ModelError, match="more than 100 files"):
        pin(ModelConfig(uri=str(folder)))


def test_the_driver_loads_and_sends_a_copy_too(tmp_path):
    config = ModelConfig(uri=str(model(tmp_path / "model", "driver_copy")))
    fetched = fetch(pin(config), config)
    plant_bytecode(tmp_path / "model", "driver_copy")
    copied = own_files(fetched)
    assert unhashed_files(Path(copied)) == []
    assert model_digest(copied) == fetched.digest
    with pytest.raises(ModelError) as refused:
        files_in_place(fetched)
    assert refused.value.code == "digest_mismatch"
    (tmp_path / "model" / "MLmodel").write_text("changed")
    assert own_files(fetched) == copied, "what was verified is not taken again from where it can be changed"


def test_a_model_that_changes_between_pinning_and_copying_is_refused(tmp_path):
    config = ModelConfig(uri=str(model(tmp_path / "model", "between")))
    fetched = fetch(pin(config), config)
    (tmp_path / "model" / "code" / "between.py").write_text("raise SystemExit")
    with pytest.raises(ModelError) as refused:
        own_files(fetched)
    assert refused.value.code == "digest_mismatch"
