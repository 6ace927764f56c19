"""The Spark Connect server that ``SPARK_REMOTE`` names: whether it is there, and that it stops when we do."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from typing import Any
from urllib.parse import urlsplit

from spark_scoring.errors import ConfigurationError
from spark_scoring.redaction import redact
from spark_scoring.spark.platform import is_databricks
from spark_scoring.spark.threads import within

_REMOTE = "SPARK_REMOTE"
_PORT = 15002  # Spark Connect's own
_SECONDS = 10
# gRPC goes through a proxy that one of these names.
_PROXIES = ("grpc_proxy", "https_proxy", "http_proxy", "HTTPS_PROXY", "HTTP_PROXY")


def refuse_absent_server() -> None:
    """Makes sure that a Spark Connect server answers at the address; PySpark's client goes on trying for ten minutes.

    Raises:
        ConfigurationError: If none does.
    """
    remote = os.environ.get(_REMOTE, "")
    if not remote or remote.startswith("local"):
        return
    if not remote.startswith("sc://"):
        if is_databricks():  # whose own PySpark knows sockets of the machine's, too
            return
        raise _no_address(remote)
    _refuse_other_server(remote, _listening(remote))


def _no_address(remote: str) -> ConfigurationError:
    return ConfigurationError(
        f"{_REMOTE} is no address of a Spark Connect server: {redact(remote)}",
        code="spark_unreachable",
        remedy=f"write sc://HOST:{_PORT}; without {_REMOTE} the session is this machine's own",
    )


def _listening(remote: str) -> str:
    """Returns the host and port at which somebody takes connections."""
    try:
        parts = urlsplit(remote.partition(";")[0])
        host, port = parts.hostname or "", parts.port or _PORT
    except ValueError as exc:
        raise _no_address(remote) from exc
    if any(os.environ.get(name) for name in _PROXIES):
        return f"{host}:{port}"
    try:
        socket.create_connection((host, port), _SECONDS).close()
    except OSError as exc:
        raise ConfigurationError(
            f"there is no Spark Connect server at {host}:{port}, which {_REMOTE} names: {exc.strerror or exc}",
            code="spark_unreachable",
            remedy=f"start it, or mend {_REMOTE}; without it the session is this machine's own",
        ) from exc
    return f"{host}:{port}"


def _refuse_other_server(remote: str, place: str) -> None:
    """Refuses whoever listens there and does not speak gRPC, or not with this TLS; PySpark would wait without end."""
    try:
        import grpc
        from pyspark.errors import PySparkException
        from pyspark.sql.connect import client
    except ImportError:  # as PySpark says next
        return
    # PySpark 3 has the second alone.
    builder: Any = getattr(client, "DefaultChannelBuilder", None) or client.ChannelBuilder
    try:
        channel = builder(remote).toChannel()
    except (PySparkException, ValueError) as exc:
        raise _no_address(remote) from exc
    try:
        grpc.channel_ready_future(channel).result(_SECONDS)
    except grpc.FutureTimeoutError:
        raise ConfigurationError(
            f"what listens at {place}, which {_REMOTE} names, does not answer as a Spark Connect server",
            code="spark_unreachable",
            remedy=f"check the port ({_PORT} by default); with use_ssl=true, or a token, in the address the server, or "
            "a proxy in front of it, needs TLS",
        ) from None
    finally:
        channel.close()


def cancel_operations(seconds: float) -> None:
    """Ends what a Spark Connect server does for this process.

    A server that does not say so in time is not asked anything any more: PySpark's client would ask it again and again
    for minutes, and no signal would end that.

    Args:
        seconds: How long it may take.
    """
    # Not imported for it: where nobody has, there is no such server.
    module = sys.modules.get("pyspark.sql.connect.session")
    session = module.SparkSession._default_session if module is not None else None
    if session is not None and within(seconds, session.interruptAll) is None:
        with contextlib.suppress(Exception):
            session.client._channel.close()
