"""The Spark Connect server that ``SPARK_REMOTE`` names."""

from __future__ import annotations

import os
import socket
from urllib.parse import urlsplit

from spark_scoring.errors import ConfigurationError

_REMOTE = "SPARK_REMOTE"
_PORT = 15002  # Spark Connect's own
_SECONDS = 10
# gRPC goes through a proxy that one of these names.
_PROXIES = ("grpc_proxy", "https_proxy", "http_proxy", "HTTPS_PROXY", "HTTP_PROXY")


def refuse_absent_server() -> None:
    """Makes sure that somebody takes connections at the address; PySpark's client goes on trying for ten minutes.

    Raises:
        ConfigurationError: If nobody does.
    """
    remote = os.environ.get(_REMOTE, "")
    if not remote.startswith("sc://") or any(os.environ.get(name) for name in _PROXIES):
        return
    try:
        parts = urlsplit(remote.partition(";")[0])
        host, port = parts.hostname or "", parts.port or _PORT
    except ValueError:  # PySpark says what is wrong with it
        return
    try:
        socket.create_connection((host, port), _SECONDS).close()
    except OSError as exc:
        raise ConfigurationError(
            f"there is no Spark Connect server at {host}:{port}, which {_REMOTE} names: {exc.strerror or exc}",
            code="spark_unreachable",
            remedy=f"start it, or mend {_REMOTE}; without it the session is this machine's own",
        ) from exc
