"""Servers that tests start: MLflow's own, one in front of it that can fail, and one that says what it is told to."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

ADMIN = ("admin", "the-password-of-the-admin")
# The forms of URI by which a server's model is had; of logged models MLflow 2 knows nothing.
FORMS = ["version", "alias", "latest", "run", *(["logged"] if hasattr(MlflowClient, "get_logged_model") else [])]
_STARTED_WITHIN = 240  # many tests may run at once on this machine
_AUTH = """[mlflow]
default_permission = NO_PERMISSIONS
database_uri = sqlite:///{folder}/users.db
admin_username = {admin}
admin_password = {password}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = {remembers}
"""


@dataclass
class Server:
    """A program that listens on a port of its own."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path = field(repr=False)

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_for(self, path: str = "/health") -> None:
        """Waits until it answers at `path`."""
        ends = time.monotonic() + _STARTED_WITHIN
        while time.monotonic() < ends:
            with contextlib.suppress(OSError), urllib.request.urlopen(self.uri + path, timeout=5):
                return
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)
        raise TimeoutError(self.log.read_text())

    def wait_for_port(self) -> None:
        """Waits until it takes connections."""
        ends = time.monotonic() + _STARTED_WITHIN
        while time.monotonic() < ends:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5):
                return
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)
        raise TimeoutError(self.log.read_text())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextlib.contextmanager
def program(folder: Path, command: list[str], port: int, **environment: str) -> Iterator[Server]:
    """Runs `command` meanwhile; what it writes is in the folder. Whoever uses it waits for it first."""
    log = folder / "server.log"
    with open(log, "wb") as written:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "MLFLOW_TRACKING_URI": "", **environment},
            stdout=written,
            stderr=written,
            start_new_session=True,
        )
    try:
        yield Server(process, port, log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


@contextlib.contextmanager
def connect_server(folder: Path, conf: dict[str, str], **environment: str) -> Iterator[Server]:
    """A Spark Connect server, with a working directory of its own; it takes connections once it is up."""
    port = free_port()
    spark = Path(find_spec("pyspark").origin).parent
    settings = {**conf, "spark.connect.grpc.binding.port": str(port), "spark.connect.grpc.binding.address": "127.0.0.1"}
    words = [word for key, value in settings.items() for word in ("--conf", f"{key}={value}")]
    command = [
        str(spark / "bin" / "spark-submit"),
        "--class",
        "org.apache.spark.sql.connect.service.SparkConnectServer",
    ]
    variables = {"SPARK_HOME": str(spark), "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    with program(folder, [*command, *words, "spark-internal"], port, **{**variables, **environment}) as server:
        server.wait_for_port()
        yield server


@contextlib.contextmanager
def serving(model: str, folder: Path, **environment: str) -> Iterator[str]:
    """A real `mlflow models serve` of a model; yields the address that takes requests, which answers once it is up."""
    port = free_port()
    words = ["models", "serve", "-m", model, "--env-manager", "local", "-h", "127.0.0.1", "-p", str(port)]
    # MLflow looks for uvicorn on the PATH.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [sys.executable, "-m", "mlflow", *words]
    with program(folder, command, port, **{"PATH": path, **environment}) as server:
        server.wait_for("/ping")
        yield f"{server.uri}/invocations"


def post(url: str, body: bytes, content_type: str = "application/json") -> tuple[int, Any]:
    """Sends a request, and returns the answer's status and what it holds as JSON."""
    asked = urllib.request.Request(url, body, {"Content-Type": content_type})
    try:
        with urllib.request.urlopen(asked, timeout=120) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as exc:
        return exc.code, json.load(exc)


@contextlib.contextmanager
def mlflow_server(folder: Path, *options: str, **environment: str) -> Iterator[Server]:
    """A real MLflow server, which hands out the artifacts itself."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--serve-artifacts"]
    places = [] if "--artifacts-destination" in options else ["--artifacts-destination", str(folder / "artifacts")]
    with program(folder, [*command, *stores, *places, *options], port, **environment) as server:
        yield server


@contextlib.contextmanager
def mlflow_server_with_users(folder: Path, *, remembers: int = 600) -> Iterator[Server]:
    """The same, which wants to know who asks; by default nobody but `ADMIN` may read anything.

    For `remembers` seconds it does not look at a password again; MLflow's default is 0, with which it is much slower.
    """
    settings = folder / "auth.ini"
    settings.write_text(_AUTH.format(folder=folder, admin=ADMIN[0], password=ADMIN[1], remembers=remembers))
    variables = {"MLFLOW_AUTH_CONFIG_PATH": str(settings), "MLFLOW_FLASK_SERVER_SECRET_KEY": "for tests"}
    with mlflow_server(folder, "--app-name", "basic-auth", **variables) as server:
        yield server


@dataclass(frozen=True)
class Served:
    """A server that has one model, and the URIs by which it is had."""

    server: Server
    experiment: str
    uris: dict[str, str]


def serve_model(server: Server, path: str, name: str) -> Served:
    """Registers the model in `path` as version 1 of `name`, once the server answers."""
    server.wait_for()
    client = MlflowClient(server.uri, server.uri)
    experiment = client.create_experiment("served")
    run = client.create_run(experiment).info.run_id
    logged = client.create_logged_model(experiment) if "logged" in FORMS else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", server.uri)  # MLflow 2 and 3.5 send files to the process's own server
        client.log_artifacts(run, path, "model")
        if logged is not None:
            client.log_model_artifacts(logged.model_id, path)
    client.create_registered_model(name)
    client.create_model_version(name, source=f"runs:/{run}/model", run_id=run)
    client.set_registered_model_alias(name, "champion", "1")
    names = [f"models:/{name}/1", f"models:/{name}@champion", f"models:/{name}/latest", f"runs:/{run}/model"]
    if logged is not None:
        names.append(f"models:/{logged.model_id}")
    return Served(server, experiment, dict(zip(FORMS, names, strict=True)))


class Door:
    """Stands in front of a server, and can be shut, or held so that nothing comes out any more."""

    def __init__(self, server: Server) -> None:
        self._behind = server.port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._is_held = False
        self.uri = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def shut(self) -> None:
        # Without the shutdown, the thread that accepts keeps the port open.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._sockets:
            one.close()

    def hold(self) -> None:
        self._is_held = True

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                front, _ = self._listener.accept()
                self._sockets.append(front)
                if not self._is_held:
                    back = socket.create_connection(("127.0.0.1", self._behind))
                    self._sockets.append(back)
                    threading.Thread(target=self._carry, args=(front, back), daemon=True).start()

    def _carry(self, front: socket.socket, back: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            while True:
                readable, _, _ = select.select([front, back], [], [])
                for one in readable:
                    data = one.recv(65536)
                    if not data:
                        front.close()
                        back.close()
                        return
                    if not self._is_held:
                        (back if one is front else front).sendall(data)


Answer = tuple[int, str, str]  # status, kind, body
PAGE: Answer = (200, "text/html", "<!doctype html><html><body>Sign in</body></html>")


@contextlib.contextmanager
def saying(answer: Callable[[str], Answer], certificate: Path | None = None) -> Iterator[str]:
    """A web server that answers each path with what `answer` returns; a 302 leads to the kind that it names."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, kind, body = answer(self.path)
            self.send_response(status)
            self.send_header("Location" if status == 302 else "Content-Type", kind)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with listening(Handler, certificate) as address:
        yield address


@contextlib.contextmanager
def listening(handler: type[BaseHTTPRequestHandler], certificate: Path | None = None) -> Iterator[str]:
    """A web server by `handler`; yields its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.daemon_threads = True
    # Whoever refuses the certificate leaves a traceback on stderr otherwise.
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"http{'s' if certificate else ''}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
