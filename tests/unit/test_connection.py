"""A registry that is silent, wrong or absent is told in a bounded time, and nothing is created in its place."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from mlflow.exceptions import MlflowException

from spark_scoring.cli import commands
from spark_scoring.errors import ModelError
from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.models import connection
from spark_scoring.models.answers import failure, is_no_answer
from spark_scoring.models.connection import Budget
from spark_scoring.models.pinned import pin
from spark_scoring.record.mlflow_run import log_to_mlflow
from tests.servers import Answer, Served, mlflow_server, saying, serve_model

SLOWEST = 30
OURS = ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT")
MODEL_ID = "models:/m-" + "0" * 32
RUN = "runs:/" + "0" * 32 + "/model"
ASKED = ["models:/flights/1", "models:/flights@champion", MODEL_ID, RUN]


@pytest.fixture(autouse=True)
def as_users_have_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*OURS, "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_USERNAME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same proportions in a tenth of the time."""
    monkeypatch.setattr(connection, "SECONDS", 3)
    monkeypatch.setattr(connection, "_OURS", {OURS[0]: "0", OURS[1]: "1"})
    monkeypatch.setattr(Budget.__init__, "__defaults__", (3,))


def refusal(uri: str, tracking_uri: str | None, **keys: Any) -> ModelError:
    started = time.monotonic()
    with pytest.raises(ModelError) as caught:
        pin(ModelConfig(uri=uri, tracking_uri=tracking_uri, **keys))
    assert time.monotonic() - started < SLOWEST
    assert caught.value.exit_code == 4
    assert caught.value.remedy
    return caught.value


@contextlib.contextmanager
def listening(
    serve: Callable[[socket.socket], None] | None = None, connections: list[socket.socket] | None = None
) -> Iterator[str]:
    """A socket that accepts, and does with each connection what `serve` says; by default nothing, for ever."""
    server = socket.create_server(("127.0.0.1", 0))
    kept = connections if connections is not None else []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connected, _ = server.accept()
                kept.append(connected)
                if serve is not None:
                    threading.Thread(target=serve, args=(connected,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.close()
        for connected in kept:
            connected.close()


@contextlib.contextmanager
def answering(status: int, body: str, kind: str = "text/html") -> Iterator[tuple[str, list[str]]]:
    """A web server that gives every question the same answer; with the paths that it was asked."""
    asked: list[str] = []

    def answer(path: str) -> Answer:
        asked.append(path)
        return status, kind, body

    with saying(answer) as uri:
        yield uri, asked


@pytest.mark.full
def test_a_server_that_never_answers_is_given_up_within_half_a_minute():
    with listening() as uri:
        error = refusal("models:/flights@champion", uri)
    assert error.code == "registry_unreachable"
    assert uri in error.message


@pytest.mark.parametrize("asked", ASKED)
def test_however_a_silent_server_is_asked_it_is_asked_once(asked, impatient):
    connections: list[socket.socket] = []
    with listening(connections=connections) as uri:
        assert refusal(asked, uri).code == "registry_unreachable"
    assert len(connections) == 1


def _trickle(connected: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connected.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
        while True:
            connected.sendall(b" ")
            time.sleep(0.2)


def test_a_server_that_sends_a_byte_now_and_then_is_given_up_too(impatient):
    with listening(_trickle) as uri:
        error = refusal("models:/flights/1", uri)
    assert error.code == "registry_unreachable"
    assert "not within 3 s" in error.message


@pytest.mark.parametrize("asked", ASKED)
def test_a_server_that_is_down_is_told(asked, impatient):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    error = refusal(asked, f"http://127.0.0.1:{port}")
    assert error.code == "registry_unreachable"


def test_a_server_that_hangs_up_is_told(impatient):
    with listening(lambda connected: connected.close()) as uri:
        assert refusal("models:/flights/1", uri).code == "registry_unreachable"


def test_a_name_that_no_server_has_is_told(impatient):
    assert refusal("models:/flights/1", "http://registry.invalid:5000").code == "registry_unreachable"


def test_a_name_server_that_never_answers_is_given_up(impatient, monkeypatch):
    monkeypatch.setattr("socket.getaddrinfo", lambda *args, **kwargs: time.sleep(60))
    error = refusal("models:/flights/1", "http://registry.example:5000")
    assert error.code == "registry_unreachable"


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, "<html><body>Sign in</body></html>", "text/html"),
        (200, "[1, 2]", "application/json"),
        (404, "<html>no such page</html>", "text/html"),
        (500, "<html>Internal Server Error</html>", "text/html"),
        (500, '{"error_code": "INTERNAL_ERROR", "message": "the database is away"}', "application/json"),
        (503, "", "text/plain"),
    ],
)
def test_what_is_not_mlflow_s_answer_is_told_as_that(status, body, kind, asked, impatient):
    with answering(status, body, kind) as (uri, paths):
        error = refusal(asked, uri)
    assert error.code == "registry_unreachable"
    assert len(paths) <= 2, "whoever does not answer is not asked for more"


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, "You are not authenticated."),
        (403, "Permission denied"),
        (403, '{"error_code": "PERMISSION_DENIED", "message": "Permission denied for flights"}'),
        (401, '{"error_code": "UNAUTHENTICATED", "message": "no token"}'),
    ],
)
def test_a_user_who_is_refused_is_told_so(status, body, asked, impatient):
    with answering(status, body) as (uri, _):
        error = refusal(asked, uri.replace("http://", "http://ada:hunter2@"))
    assert error.code == "registry_denied"
    assert "MLFLOW_TRACKING_PASSWORD" in error.remedy
    assert "hunter2" not in str(error)


def test_what_a_name_says_is_no_answer_of_a_server(registry, adds):
    registry.register("permission denied", adds)
    assert refusal("models:/permission denied/7", registry.uri).code == "version_not_found"
    assert refusal("models:/failed with timeout/7", registry.uri).code == "model_not_found"


def test_the_user_s_own_patience_holds(monkeypatch):
    assert Budget()._seconds == connection.SECONDS
    monkeypatch.setenv(OURS[1], "60")
    assert Budget()._seconds > 120
    seen = Budget().ask(lambda: {name: os.environ.get(name) for name in OURS}, "nowhere")
    assert seen == {OURS[0]: "1", OURS[1]: "60"}
    monkeypatch.setenv(OURS[0], "0")
    assert Budget().ask(lambda: os.environ[OURS[0]], "nowhere") == "0"
    assert {name: os.environ.get(name) for name in OURS} == {OURS[0]: "0", OURS[1]: "60"}


def test_mlflow_s_settings_are_as_before_afterwards(registry, adds):
    version = registry.register("as_before", adds)
    pin(ModelConfig(uri=f"models:/as_before/{version}", tracking_uri=registry.uri))
    assert not set(OURS) & set(os.environ)


def test_all_questions_share_one_budget(monkeypatch):
    budget = Budget(5)
    budget.ask(lambda: time.sleep(4), "the first")
    started = time.monotonic()
    with pytest.raises(ModelError):
        budget.ask(lambda: time.sleep(60), "the second")
    assert time.monotonic() - started < 4


def test_whoever_waits_is_shown_for_what(monkeypatch, caplog):
    monkeypatch.setattr(connection, "_QUIET_SECONDS", 0.05)
    with caplog.at_level("INFO"):
        Budget().ask(lambda: time.sleep(0.2), "http://ada:hunter2@registry.example")
    assert "waiting   for http://***@registry.example" in caplog.text


@pytest.mark.parametrize("place", ["sqlite:////data/mlflow.db", "file:///data/mlruns", "/data/mlruns"])
def test_nobody_waits_for_a_file_on_this_machine(monkeypatch, caplog, place):
    monkeypatch.setattr(connection, "_QUIET_SECONDS", 0.05)
    with caplog.at_level("INFO"):
        Budget(0.1).ask(lambda: time.sleep(0.2), place)
        assert caplog.text == ""
        Budget().ask(lambda: time.sleep(0.2), "databricks")
    assert "waiting   for databricks" in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        '(psycopg2.OperationalError) connection failed: FATAL:  password authentication failed for user "ada"',
        "(pymysql.err.OperationalError) (1045, \"Access denied for user 'ada'@'h' (using password: YES)\")",
        "('28000', \"Login failed for user 'ada'.\")",
    ],
)
def test_a_database_that_refuses_a_password_is_no_silent_one(text):
    assert failure("postgresql://ada:hunter2@db/mlflow", Exception(text)).code == "registry_denied"


def test_a_long_answer_is_not_searched_through():
    assert not is_no_answer(MlflowException("x" * 50_000_000 + "timed out"))


# What MLflow would create.


def store(kind: str, tmp_path: Path) -> tuple[str, Path]:
    """A tracking URI that names no registry, and the path that the message has to name."""
    path = tmp_path / "stores" / "mlflow.db"
    if kind == "a database in a folder that is not there":
        return f"sqlite:///{tmp_path}/nowhere/deep/mlflow.db", tmp_path / "nowhere/deep/mlflow.db"
    path.parent.mkdir()
    if kind == "a folder":
        path.mkdir()
    elif kind == "an empty file":
        path.touch()
    elif kind == "no database":
        path.write_text("just text " * 1000)
    elif kind == "another program's database":
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE theirs (id)")
            database.commit()
    elif kind == "a fifo":
        os.mkfifo(path)
    elif kind == "a store of files that is not there":
        return str(path), path
    elif kind == "a folder that is no store":
        (path / "notes").mkdir(parents=True)
        return path.as_uri(), path
    return f"sqlite:///{path}", path


@pytest.mark.parametrize("asked", [*ASKED, "mlflow-artifacts:/0/model"])
@pytest.mark.parametrize(
    "kind",
    [
        "a database that is not there",
        "a database in a folder that is not there",
        "a folder",
        "an empty file",
        "no database",
        "another program's database",
        "a fifo",
        "a store of files that is not there",
        "a folder that is no store",
    ],
)
def test_a_registry_that_is_not_there_is_refused_at_once_and_not_created(kind, asked, tmp_path):
    uri, path = store(kind, tmp_path)
    before = sorted(tmp_path.rglob("*"))
    content = path.read_bytes() if path.is_file() else None
    started = time.monotonic()
    error = refusal(asked, uri)
    assert time.monotonic() - started < 5
    assert error.code == "registry_unreachable"
    assert str(path) in error.message
    assert sorted(tmp_path.rglob("*")) == before
    assert (path.read_bytes() if path.is_file() else None) == content


@pytest.mark.parametrize("asked", ASKED)
def test_where_no_registry_is_named_none_is_created(asked, tmp_path, monkeypatch):
    error = refusal(asked, None)
    assert error.code == "registry_unreachable"
    assert "MLFLOW_TRACKING_URI" in error.remedy
    assert list(Path.cwd().iterdir()) == []


def test_a_registry_without_a_tracking_server_needs_no_database_here(registry, adds):
    version = registry.register("untracked", adds)
    model = pin(ModelConfig(uri=f"models:/untracked/{version}", registry_uri=registry.uri))
    assert model.model_id == f"untracked/{version}"
    assert list(Path.cwd().iterdir()) == []


def test_inspect_creates_nothing_at_a_mistyped_path(tmp_path):
    with pytest.raises(ModelError) as caught:
        commands.inspect("models:/flights/1", f"sqlite:///{tmp_path}/mistyped/mlflow.db")
    assert caught.value.code == "registry_unreachable"
    assert not (tmp_path / "mistyped").exists()


def test_a_model_without_requirements_asks_nobody(adds, tmp_path):
    folder = Path(shutil.copytree(adds, tmp_path / "model"))
    (folder / "requirements.txt").unlink()
    assert pin(ModelConfig(uri=str(folder), tracking_uri=f"sqlite:///{tmp_path}/none.db")).requirements == ()
    assert not (tmp_path / "none.db").exists()


@pytest.mark.full
def test_a_database_that_another_process_locks_is_told(registry, tmp_path):
    copied = tmp_path / "locked.db"
    shutil.copy(registry.uri.removeprefix("sqlite:///"), copied)
    with contextlib.closing(sqlite3.connect(copied)) as database:
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("BEGIN EXCLUSIVE")
        error = refusal("models:/flights/1", f"sqlite:///{copied}")
    assert error.code == "registry_unreachable"
    assert "locked" in error.message


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, adds: str) -> Iterator[Served]:
    with mlflow_server(tmp_path_factory.mktemp("server")) as started:
        yield serve_model(started, adds, "served")


@pytest.mark.full
def test_a_real_server_says_what_it_has_and_what_it_has_not(served):
    server = served.server.uri
    assert pin(ModelConfig(uri="models:/served@champion", tracking_uri=server)).model_id == "served/1"
    assert pin(ModelConfig(uri=served.uris["run"], tracking_uri=server)).metadata.flavors
    assert refusal("models:/served/9", server).code == "version_not_found"
    assert refusal("models:/served@none", server).code == "alias_not_found"
    assert refusal("models:/sevred/1", server).code == "model_not_found"
    assert refusal(MODEL_ID, server).code == "model_not_found"
    assert refusal(RUN, server).code == "model_not_found"
    assert refusal("models:/served/1", f"{server}/elsewhere").code == "registry_unreachable"


def test_the_password_that_a_server_is_sent_is_mlflow_s_own(monkeypatch, impatient):
    """What MLflow reads from its own variables arrives, so that a refusal speaks of them."""
    sent = []

    def refuse(connected: socket.socket) -> None:
        sent.append(connected.recv(65536).decode())
        connected.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong")
    with listening(refuse) as uri:
        assert refusal("models:/flights/1", uri).code == "registry_denied"
    assert f"Basic {base64.b64encode(b'ada:wrong').decode()}" in sent[0]


def test_a_run_is_not_recorded_in_a_database_that_does_not_exist(tmp_path):
    absent = tmp_path / "absent.db"
    with pytest.raises(ModelError, match="does not exist"):
        log_to_mlflow(cast(Any, None), ModelConfig(uri="/m", tracking_uri=f"sqlite:///{absent}"), cast(Any, object()))
    assert not absent.exists()
    assert os.listdir(tmp_path / "here") == []


def test_nor_where_nothing_says_which_it_is(tmp_path):
    with pytest.raises(ModelError):
        log_to_mlflow(cast(Any, None), ModelConfig(uri="/m"), cast(Any, object()))
    assert os.listdir(tmp_path / "here") == []
