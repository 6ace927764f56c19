"""Whether a registry or a tracking server answers, within a bounded time, and what it means where it does not.

MLflow itself retries a silent server for many minutes, and creates a database that does not exist.
"""

from __future__ import annotations

import concurrent.futures.thread
import contextlib
import contextvars
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from spark_scoring.errors import ModelError
from spark_scoring.models.answers import DATABASES, TIMEOUT, failure, no_answer
from spark_scoring.models.model_uri import local_folder, store_scheme_of
from spark_scoring.redaction import redact
from spark_scoring.spark.platform import is_databricks

_log = logging.getLogger(__name__)
T = TypeVar("T")

SECONDS = 25
# A file on this machine does not keep anybody waiting; the time goes into loading MLflow's client of it.
_LOADING_SECONDS = 180
# After this long, the log says what is waited for; what lies on this machine answers, and only its client is loading.
_QUIET_SECONDS = 5
_RETRIES, _TIMEOUT = "MLFLOW_HTTP_REQUEST_MAX_RETRIES", TIMEOUT
# MLflow's own, for whom the user sets only one of the two, and ours.
_OURS = {_RETRIES: "1", _TIMEOUT: "10"}
_TABLES = ("experiments", "registered_models")


class Asked(Generic[T]):
    """A question that is being asked in a thread of its own, which can be left behind.

    Args:
        question: Asks a server, a database or a store.
    """

    def __init__(self, question: Callable[[], T]) -> None:
        self._question = question
        self._answer: list[tuple[bool, Any]] = []
        self._context = contextvars.copy_context()
        self._before = frozenset(_pooled())
        # The threads of a pool that it starts are daemons, too.
        self._thread = threading.Thread(target=self._run, daemon=True, name="spark-scoring-asks")
        self._thread.start()

    def _run(self) -> None:
        try:
            self._answer.append((True, self._context.run(self._question)))
        except BaseException as exc:  # raised again in the thread that waits
            self._answer.append((False, exc))

    @property
    def is_answered(self) -> bool:
        """Whether it returned, or raised."""
        return bool(self._answer)

    def wait(self, seconds: float) -> bool:
        """Waits for the answer, and tells whether it is there."""
        self._thread.join(seconds)
        return self.is_answered

    def answer(self) -> T:
        """Returns what the question returned, or raises what it raised."""
        succeeded, value = self._answer[0]
        if not succeeded:
            raise value
        result: T = value
        return result

    def leave(self) -> None:
        """Lets this process end without it, since at its end Python waits for the threads of MLflow's downloads."""
        for thread in set(_pooled()) - self._before:
            if thread.daemon:
                _pooled().pop(thread, None)


def _pooled() -> MutableMapping[threading.Thread, Any]:
    queues: MutableMapping[threading.Thread, Any] = getattr(concurrent.futures.thread, "_threads_queues", {})
    return queues


class Budget:
    """The time that all questions about one model may take together.

    Args:
        seconds: How many; longer where the user's own settings for MLflow ask for more.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = max(seconds, _as_the_user_set())
        self._ends = time.monotonic() + self._seconds

    def ask(self, question: Callable[[], T], place: str) -> T:
        """Returns what `question` returns, or raises what it raises.

        Args:
            question: Asks a server, a database or a store. It is left behind where the time is over.
            place: What it asks, for messages.

        Raises:
            ModelError: If there is no answer in time.
        """
        if is_databricks():  # its credentials belong to the thread that has the notebook
            return question()
        is_here = _is_here(place)
        seconds = max(self._seconds, _LOADING_SECONDS) if is_here else self._seconds
        with _impatient_mlflow():
            asked = Asked(question)
            if is_here:
                asked.wait(seconds)
            elif not asked.wait(min(_QUIET_SECONDS, self._left())) and self._left() > 0:
                _log.info("waiting   for %s, %.0f s at most", redact(place), self._left())
                asked.wait(self._left())
        if not asked.is_answered:
            asked.leave()
            raise no_answer(place, f"not within {seconds:.0f} s")
        return asked.answer()

    def _left(self) -> float:
        return max(0.0, self._ends - time.monotonic())


def _is_here(place: str) -> bool:
    return place.lower().startswith("sqlite") or ("/" in place and local_folder(place) is not None)


def refuse_absent_store(uri: str) -> None:
    """Looks for the database or the folder behind a tracking or registry URI, which MLflow would create.

    Raises:
        ModelError: If it is not there, is none of MLflow's, or can't be read.
    """
    scheme = uri.partition(":")[0].partition("+")[0].lower()
    try:
        if scheme == "sqlite":
            _refuse_absent_sqlite(uri)
        elif scheme in DATABASES:
            _refuse_absent_tables(uri)
        elif store_scheme_of(uri) in {"", "file"} and (folder := local_folder(uri)) is not None:
            _refuse_absent_folder(folder)
    except ModelError:
        raise
    except Exception as exc:  # whatever a database's client raises, also that it is not installed
        raise failure(uri, exc) from exc


@contextlib.contextmanager
def _impatient_mlflow() -> Iterator[None]:
    """Lets MLflow give up in time, but for what the user has set."""
    ours = {name: value for name, value in _OURS.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


def has_own_patience() -> bool:
    """Tells whether the user has set how long MLflow waits and how often it tries."""
    return bool({_RETRIES, _TIMEOUT} & set(os.environ))


def _as_the_user_set() -> float:
    """Returns how long MLflow retries a silent server by the user's own settings; 0 where there are none."""
    if not has_own_patience():
        return 0
    with contextlib.suppress(ValueError):
        retries, timeout = (int(os.environ.get(name, _OURS[name])) for name in (_RETRIES, _TIMEOUT))
        return float(timeout * (retries + 1) + sum(2 ** (attempt + 1) for attempt in range(retries)) + 5)
    return 0


def _refuse_absent_sqlite(uri: str) -> None:
    rest = uri.partition("://")[2]
    if rest and not rest.startswith("/"):
        raise _absent(f"{redact(uri)} names a host, and SQLite has none: write sqlite:/// and the path")
    path, _, query = rest.removeprefix("/").partition("?")
    if "uri=true" in query.lower():
        path = path.removeprefix("file:")
    if not path or ":memory:" in path:
        return
    # Without its scheme a password in it would not be known as one.
    shown = redact(uri) if "@" in path else os.path.abspath(path)
    path = os.path.abspath(path)
    if not os.path.isfile(path):
        what = "is a folder" if os.path.isdir(path) else "does not exist"
        raise _absent(f"the database {shown} {what}")
    with contextlib.closing(sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=5)) as database:
        marks = ", ".join("?" * len(_TABLES))
        count = database.execute(f"SELECT count(*) FROM sqlite_master WHERE name IN ({marks})", _TABLES).fetchone()
    if count[0] < len(_TABLES):
        raise _absent(f"the database {shown} is none of MLflow's")


def _refuse_absent_tables(uri: str) -> None:
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.pool.NullPool)
    with engine.connect() as connection:
        tables = sqlalchemy.inspect(connection)
        all_exist = all(tables.has_table(name) for name in _TABLES)
    if not all_exist:
        raise _absent(f"the database {redact(uri)} is none of MLflow's")


def _refuse_absent_folder(folder: str) -> None:
    if not os.path.isdir(folder):
        raise _absent(f"the folder {folder} does not exist")
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_dir()]
    experiments = (os.path.isfile(os.path.join(folder, name, "meta.yaml")) for name in names)
    if not {"models", ".trash"} & set(names) and not any(experiments):
        raise _absent(f"the folder {folder} is none of MLflow's")


def _absent(message: str) -> ModelError:
    return ModelError(
        f"there is no registry: {message}",
        code="registry_unreachable",
        remedy="set model.tracking_uri, or MLFLOW_TRACKING_URI, to the server or the database that has the model",
    )
