"""The address of a Spark Connect server, and who answers there."""

from __future__ import annotations

import socket
import time
from http.server import SimpleHTTPRequestHandler

import pytest

from spark_scoring.errors import ConfigurationError
from spark_scoring.spark import remote
from tests.servers import listening

SHORT = 1


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_SECONDS", SHORT)
    for name in remote._PROXIES:
        monkeypatch.delenv(name, raising=False)


def refusal(address: str, monkeypatch: pytest.MonkeyPatch) -> ConfigurationError:
    monkeypatch.setenv("SPARK_REMOTE", address)
    with pytest.raises(ConfigurationError) as caught:
        remote.refuse_absent_server()
    assert (caught.value.exit_code, caught.value.code) == (2, "spark_unreachable")
    return caught.value


@pytest.mark.parametrize("parameters", ["", "/;token=not-for-others", "/;use_ssl=true"])
def test_a_server_that_is_another_one_is_told_in_seconds(parameters: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(SimpleHTTPRequestHandler) as address:
        place = address.removeprefix("http://")
        began = time.monotonic()
        error = refusal(f"sc://{place}{parameters}", monkeypatch)
    assert time.monotonic() - began < SHORT + 20
    assert error.message == (
        f"what listens at {place}, which SPARK_REMOTE names, does not answer as a Spark Connect server"
    )
    assert "TLS" in str(error.remedy)


def test_a_server_that_says_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert "does not answer" in refusal(f"sc://127.0.0.1:{silent.getsockname()[1]}", monkeypatch).message


@pytest.mark.parametrize("address", ["127.0.0.1:15002", "spark://host:7077", "sc://host:port", "http://host:15002"])
def test_what_is_no_address_is_told_with_what_one_looks_like(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error = refusal(address, monkeypatch)
    assert error.message == f"SPARK_REMOTE is no address of a Spark Connect server: {address}"
    assert "write sc://HOST:15002" in str(error.remedy)


def test_a_socket_of_databricks_is_its_own_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "17.3")
    monkeypatch.setenv("SPARK_REMOTE", "unix:///databricks/sparkconnect/grpc.sock")
    remote.refuse_absent_server()


@pytest.mark.parametrize("address", ["", "local", "local[2]"])
def test_no_server_is_looked_for_where_none_is_named(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_REMOTE", address)
    remote.refuse_absent_server()
