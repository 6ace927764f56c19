"""A server that answers as MLflow's clients of Unity Catalog ask it: Databricks', and the open-source server's.

It is no Databricks, and no Unity Catalog. Its paths are those that MLflow's clients ask, and its answers have the
fields that they read; the words of its refusals are the tests' own.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.servers import listening

TOKEN = "dapi-of-the-tests"
MODEL = "main.ml.flights"
_OF_DATABRICKS = "/api/2.0/mlflow/unity-catalog/"
_OF_WORKSPACE = "/api/2.0/mlflow/"
_OF_OSS = "/api/2.1/unity-catalog/"
_FOLDER = "/Models/main/ml/flights"

Answer = tuple[int, Any]


@dataclass
class Unity:
    """What the server has, and what it was asked.

    Attributes:
        uri: Its address.
        folder: The files of each version of `MODEL`.
        versions: Its versions.
        aliases: Its aliases.
        asked: The method and the path of each request.
        readable: Whether the user of `TOKEN` may read the model.
    """

    uri: str
    folder: Path
    versions: tuple[int, ...] = (1, 2)
    aliases: dict[str, int] = field(default_factory=lambda: {"champion": 2})
    asked: list[str] = field(default_factory=list)
    readable: bool = True

    @property
    def of_oss(self) -> str:
        """How `model.registry_uri` names it as an open-source server."""
        return f"uc:{self.uri}"

    def answer(self, method: str, path: str, said: dict[str, Any], token: str) -> Answer:
        self.asked.append(f"{method} {path}")
        if path.startswith("/signed/"):  # whoever has the URL may read the file
            return 200, (self.folder / unquote(path.removeprefix("/signed/"))).read_bytes()
        if path == "/.well-known/databricks-config":  # where Databricks' SDK looks first
            return 200, {"oidc_endpoint": f"{self.uri}/oidc", "workspace_id": "1"}
        if not path.startswith("/api/"):
            return 404, _error("ENDPOINT_NOT_FOUND", f"No API found for '{method} {path}'")
        if not token:
            return 401, _error("UNAUTHENTICATED", "Credential was not sent or was of an unsupported type for this API")
        if token != f"Bearer {TOKEN}":
            return 403, _error("403", "Invalid access token. [ReqId: 00000000-0000]")
        if not self.readable:
            return 403, _error("PERMISSION_DENIED", f"User does not have EXECUTE on Routine or Model '{MODEL}'.")
        for prefix, answer in (
            (_OF_OSS, self._oss),
            (_OF_DATABRICKS, self._databricks),
            ("/api/2.0/fs/", self._files),
            (_OF_WORKSPACE, self._workspace),
        ):
            if path.startswith(prefix):
                return answer(path.removeprefix(prefix), said)
        return 404, _error("ENDPOINT_NOT_FOUND", f"No API found for '{method} {path}'")

    def _databricks(self, path: str, said: dict[str, Any]) -> Answer:
        name = said.get("name", "")
        if path == "registered-models:is-databricks-sdk-models-artifact-repository-enabled":
            return 200, {"is_databricks_sdk_models_artifact_repository_enabled": False}
        if path == "registered-models/search":
            return 200, {"registered_models": [{"name": MODEL}]}
        if path == "model-versions/search":
            (name,) = re.findall("'(.*)'", said["filter"])
            return 200, {"model_versions": [self._version(one) for one in self.versions if name == MODEL]}
        if name.count(".") != 2:
            return 400, _error("INVALID_PARAMETER_VALUE", f"'{name}' is not a valid name for a registered model")
        if name != MODEL:
            return 404, _error("RESOURCE_DOES_NOT_EXIST", f"Routine or Model '{name}' does not exist.")
        if path == "registered-models/get":
            return 200, {"registered_model": {"name": MODEL, "aliases": self._aliases()}}
        if path == "registered-models/alias":
            if said["alias"] not in self.aliases:
                return 404, _error("RESOURCE_DOES_NOT_EXIST", f"Alias '{said['alias']}' does not exist.")
            return 200, {"model_version": self._version(self.aliases[said["alias"]])}
        if int(said["version"]) not in self.versions:
            return 404, _error("RESOURCE_DOES_NOT_EXIST", f"Model version '{said['version']}' does not exist.")
        return {
            "model-versions/get": (200, {"model_version": self._version(int(said["version"]))}),
            # A place that nobody reads without the credentials that the next one gives.
            "model-versions/get-download-uri": (200, {"artifact_uri": "s3://of-the-metastore/models/1"}),
            "model-versions/generate-temporary-credentials": (
                200,
                {"credentials": {"storage_mode": "DEFAULT_STORAGE"}},
            ),
        }.get(path, (404, _error("ENDPOINT_NOT_FOUND", path)))

    def _workspace(self, path: str, said: dict[str, Any]) -> Answer:
        """Databricks' older registry, of one workspace, whose names have one part."""
        name = said.get("name", "flights")
        if path == "model-versions/search":
            (name,) = re.findall("'(.*)'", said["filter"])
            return 200, {"model_versions": [{"name": name, "version": str(one)} for one in self.versions]}
        if path == "registered-models/search":
            return 200, {"registered_models": [{"name": "flights"}]}
        if name != "flights":
            return 404, _error("RESOURCE_DOES_NOT_EXIST", f"RegisteredModel '{name}' not found.")
        if path == "registered-models/get":
            return 200, {"registered_model": {"name": name}}
        if int(said["version"]) not in self.versions:
            return 404, _error("RESOURCE_DOES_NOT_EXIST", f"ModelVersion '{said['version']}' not found.")
        version, file = int(said["version"]), said.get("path", "")
        files = [
            {"path": one.path, "is_dir": one.is_folder, "file_size": one.size} for one in self._entries(version, file)
        ]
        has: dict[str, dict[str, Any]] = {
            "get": {"model_version": {"name": name, "version": str(version), "status": "READY"}},
            "get-download-uri": {"artifact_uri": f"dbfs:/databricks/mlflow-registry/{version}"},
            "list-artifacts": {"files": files},
            "get-signed-download-uri": {"signed_uri": self._signed(f"{version}/{file}")},
        }
        return 200, has[path.removeprefix("model-versions/")]

    def _files(self, path: str, said: dict[str, Any]) -> Answer:
        if path == "create-download-url":
            return 200, {"url": self._signed(said["path"].removeprefix(_FOLDER + "/")), "headers": []}
        _, _, rest = unquote(path).partition(_FOLDER + "/")
        version, _, below = rest.strip("/").partition("/")
        entries = self._entries(int(version), below)
        if not entries:
            return 404, _error("NOT_FOUND", "The directory being accessed is not found.")
        contents = [
            {"path": f"{_FOLDER}/{version}/{one.path}", "is_directory": one.is_folder, "file_size": one.size}
            for one in entries
        ]
        return 200, {"contents": contents}

    def _oss(self, path: str, said: dict[str, Any]) -> Answer:
        if path == "models":
            return 200, {"registered_models": [self._oss_model()]}
        _, name, *rest = path.split("/")
        if name != MODEL:
            return 404, _error("NOT_FOUND", f"Registered model not found: {name}")
        if not rest:
            return 200, self._oss_model()
        if rest == ["versions"]:
            return 200, {"model_versions": [self._oss_version(one) for one in self.versions]}
        if rest[0] == "versions" and int(rest[1]) in self.versions:
            return 200, self._oss_version(int(rest[1]))
        return 404, _error("NOT_FOUND", f"Model version not found: {name}/{rest[-1]}")

    def _version(self, version: int) -> dict[str, Any]:
        aliases = [one for one in self._aliases() if one["version"] == str(version)]
        return {"name": MODEL, "version": str(version), "status": "READY", "aliases": aliases}

    def _aliases(self) -> list[dict[str, str]]:
        return [{"alias": name, "version": str(version)} for name, version in self.aliases.items()]

    def _oss_model(self) -> dict[str, Any]:
        return {"name": "flights", "catalog_name": "main", "schema_name": "ml", "full_name": MODEL}

    def _oss_version(self, version: int) -> dict[str, Any]:
        return {
            "model_name": "flights",
            "catalog_name": "main",
            "schema_name": "ml",
            "version": version,
            "status": "READY",
            "storage_location": (self.folder / str(version)).as_uri(),
        }

    def _signed(self, file: str) -> str:
        return f"{self.uri}/signed/{quote(file)}"

    def _entries(self, version: int, below: str) -> list[_Entry]:
        root = self.folder / str(version)
        there = root / below
        found = sorted(there.iterdir()) if there.is_dir() else []
        return [_Entry(str(one.relative_to(root)), one.is_dir(), one.stat().st_size) for one in found]


@dataclass(frozen=True)
class _Entry:
    path: str
    is_folder: bool
    size: int


def _error(code: str, message: str) -> dict[str, str]:
    return {"error_code": code, "message": message}


@contextlib.contextmanager
def unity(folder: Path) -> Iterator[Unity]:
    """Serves the versions of `MODEL` whose files are in the folders ``1`` and ``2`` of `folder`."""
    with _listening(lambda *request: served.answer(*request)) as uri:
        served = Unity(uri, folder)
        yield served


@contextlib.contextmanager
def _listening(answer: Callable[[str, str, dict[str, Any], str], Answer]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            said = {name: values[-1] for name, values in parse_qs(asked.query).items()}
            length = int(self.headers.get("Content-Length") or 0)
            if length:
                said |= json.loads(self.rfile.read(length))
            status, body = answer(self.command, asked.path, said, self.headers.get("Authorization", ""))
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/octet-stream" if raw is body else "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with listening(Handler) as address:
        yield address
