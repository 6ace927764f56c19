"""Real MLflow servers, with and without users, in front of which things go wrong."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient

from spark_scoring.errors import ModelError
from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.models import connection, downloads
from spark_scoring.models.connection import Budget
from spark_scoring.models.pinned import LocalModel, PinnedModel, fetch, pin
from spark_scoring.record.mlflow_run import log_to_mlflow
from spark_scoring.record.runs_table import Record
from spark_scoring.worker.digest import model_digest
from tests.servers import (
    ADMIN,
    FORMS,
    PAGE,
    Answer,
    Door,
    Served,
    Server,
    mlflow_server,
    mlflow_server_with_users,
    saying,
    serve_model,
)

PAGES = Path(__file__).parents[2] / "docs"
PASSWORD = "hunter2-of-a-user"
USER, SECRET, TOKEN = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"
PATIENCE = ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT")


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server | None]]:
    """Both start at once."""
    with contextlib.ExitStack() as both:
        plain = both.enter_context(mlflow_server(tmp_path_factory.mktemp("plain")))
        has_users = importlib.util.find_spec("flask_wtf") is not None
        folder = tmp_path_factory.mktemp("guarded")
        yield plain, both.enter_context(mlflow_server_with_users(folder)) if has_users else None


@pytest.fixture(scope="module")
def plain(servers: tuple[Server, Server | None], adds: str) -> Served:
    return serve_model(servers[0], adds, "flights")


@pytest.fixture(scope="module")
def guarded(servers: tuple[Server, Server | None], adds: str) -> Served:
    """Reads all: bob. Reads the registered model, and not its experiment: ada. Reads nothing: eve."""
    from mlflow.server import get_app_client

    server = servers[1]
    if server is None:
        pytest.skip("MLflow's basic-auth needs Flask-WTF, which is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(USER, ADMIN[0])
        patch.setenv(SECRET, ADMIN[1])
        served = serve_model(server, adds, "flights")
        users = get_app_client("basic-auth", tracking_uri=server.uri)
        for name in ("ada", "bob", "eve"):
            users.create_user(name, PASSWORD)
        for name in ("ada", "bob"):
            _let_read(users, name, "registered_model", "flights")
        _let_read(users, "bob", "experiment", served.experiment)
    return served


def _let_read(users: Any, name: str, kind: str, which: str) -> None:
    if hasattr(users, "grant_user_permission"):
        users.grant_user_permission(name, kind, which, "READ")
    else:  # of an older MLflow
        getattr(users, f"create_{kind}_permission")(which, name, "READ")


@pytest.fixture(autouse=True)
def as_users_have_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*PATIENCE, "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", USER, SECRET, TOKEN):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    # A busy machine answers late; how long anybody is waited for is tested where it matters.
    monkeypatch.setattr(Budget.__init__, "__defaults__", (120,))
    monkeypatch.setattr(connection, "_OURS", {PATIENCE[0]: "0", PATIENCE[1]: "60"})


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Budget.__init__, "__defaults__", (3,))
    monkeypatch.setattr(connection, "SECONDS", 3)
    monkeypatch.setattr(connection, "_OURS", {PATIENCE[0]: "0", PATIENCE[1]: "1"})
    monkeypatch.setattr(downloads, "_QUIET_SECONDS", 1.0)
    monkeypatch.setattr(downloads, "_LOOKING_SECONDS", 0.1)
    monkeypatch.setattr(downloads, "_ANSWER_SECONDS", 1)


def config(uri: str, server: str) -> ModelConfig:
    return ModelConfig(uri=uri, tracking_uri=server)


def fetched(uri: str, server: str) -> LocalModel:
    return fetch(pin(config(uri, server)), config(uri, server))


def refusal(uri: str, server: str) -> ModelError:
    with pytest.raises(ModelError) as caught:
        fetched(uri, server)
    assert caught.value.exit_code == 4
    assert caught.value.remedy
    return caught.value


# What is there.


@pytest.mark.parametrize("form", FORMS)
def test_a_model_is_had_from_a_server_however_it_is_named(form, plain, adds):
    assert fetched(plain.uris[form], plain.server.uri).digest == model_digest(adds)


@pytest.mark.skipif("logged" not in FORMS, reason="MLflow 2 has no logged models")
def test_a_model_that_a_run_logged_by_name_is_had_by_that_run_and_no_database_is_made(plain, adds, tmp_path):
    client = MlflowClient(plain.server.uri, plain.server.uri)
    run = client.create_run(plain.experiment).info.run_id
    logged = client.create_logged_model(plain.experiment, name="named", source_run_id=run)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", plain.server.uri)  # MLflow 3.5 sends files to the process's own server
        client.log_model_artifacts(logged.model_id, adds)
    assert fetched(f"runs:/{run}/named", plain.server.uri).digest == model_digest(adds)
    assert not list(tmp_path.glob("*.db"))


@pytest.mark.parametrize("form", FORMS)
def test_whoever_may_read_a_model_scores_with_it(form, guarded, adds, monkeypatch):
    monkeypatch.setenv(USER, "bob")
    monkeypatch.setenv(SECRET, PASSWORD)
    assert fetched(guarded.uris[form], guarded.server.uri).digest == model_digest(adds)


def test_a_logged_model_is_not_looked_for_by_an_older_mlflow(plain, monkeypatch):
    monkeypatch.delattr(MlflowClient, "get_logged_model", raising=False)
    error = refusal(f"models:/m-{'0' * 32}", plain.server.uri)
    assert error.code == "mlflow_too_old"
    assert fetched(plain.uris["run"], plain.server.uri)  # what the remedy says


# Who may not read it.

WRONG = {
    "nobody": ({}, f"none of {USER}, {SECRET} and {TOKEN} is set"),
    "a wrong password": ({USER: "bob", SECRET: "not-his-own"}, f"{USER} and {SECRET} are set"),
    "a user that there is none of": ({USER: "nobody", SECRET: PASSWORD}, f"{USER} and {SECRET} are set"),
    "a user without a password": ({USER: "bob"}, f"{USER} is set and {SECRET} is not, so neither is used"),
    "a password without a user": ({SECRET: PASSWORD}, f"{SECRET} is set and {USER} is not, so neither is used"),
    "a token beside a password that wins": (
        {USER: "bob", SECRET: "not-his-own", TOKEN: "a-token"},
        f"{USER} and {SECRET} are set, and win over {TOKEN}",
    ),
}


@pytest.mark.parametrize("who", WRONG)
@pytest.mark.parametrize("form", FORMS)
def test_whoever_is_not_let_in_is_told_so_and_by_which_variables(form, who, guarded, monkeypatch):
    variables, said = WRONG[who]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    error = refusal(guarded.uris[form], guarded.server.uri)
    assert error.code == "registry_denied", error.message
    assert f"{guarded.server.uri} refused this user: it answered 401; {said}" in error.message
    assert all(name in str(error.remedy) for name in (USER, SECRET, TOKEN))
    shown = json.dumps(error.to_dict())
    assert not [value for name, value in variables.items() if name != USER and value in shown]


@pytest.mark.parametrize(
    "uri", ["models:/flights/1", "models:/flights@champion", "models:/flights/latest", "models:/flights@none"]
)
def test_a_model_that_somebody_may_not_read_is_not_said_to_be_absent(uri, guarded, monkeypatch):
    monkeypatch.setenv(USER, "eve")
    monkeypatch.setenv(SECRET, PASSWORD)
    error = refusal(uri, guarded.server.uri)
    assert error.code == "registry_denied"
    assert "403" in error.message


@pytest.mark.parametrize("form", FORMS)
def test_a_model_whose_files_somebody_may_not_read_is_told_by_the_server_that_has_them(form, guarded, monkeypatch):
    monkeypatch.setenv(USER, "ada")
    monkeypatch.setenv(SECRET, PASSWORD)
    error = refusal(guarded.uris[form], guarded.server.uri)
    assert error.code == "registry_denied"
    assert error.message.startswith(guarded.server.uri)
    assert "its experiment and its run" in str(error.remedy)


@pytest.mark.full
def test_a_token_that_a_server_with_passwords_does_not_take_is_named(tmp_path, monkeypatch):
    pytest.importorskip("flask_wtf")
    monkeypatch.setenv(TOKEN, "a-wrong-token")
    with mlflow_server_with_users(tmp_path, remembers=0) as server:
        server.wait_for()
        error = refusal("models:/flights/1", server.uri)
    assert error.code == "registry_denied"
    assert f"it answered 401; {TOKEN} is set" in error.message


def test_a_token_that_a_server_with_passwords_fails_at_is_named_too(guarded, monkeypatch):
    """MLflow's own answers 500 to any token if it remembers passwords, and that of 2 and 3.5 as it ought to, 401."""
    monkeypatch.setenv(TOKEN, "a-wrong-token")
    error = refusal("models:/flights/1", guarded.server.uri)
    answers = mlflow.__version__.startswith(("2.", "3.5."))
    assert error.code == ("registry_denied" if answers else "registry_unreachable")
    assert f"{TOKEN} is set" in error.message


def test_a_password_in_the_server_s_address_is_not_printed_where_a_run_is_logged(guarded, adds, capfd):
    place = guarded.server.uri.replace("//", f"//{ADMIN[0]}:{ADMIN[1]}@")
    ended = datetime.datetime.now(datetime.timezone.utc)
    given = dict.fromkeys((one.name for one in dataclasses.fields(Record)), None)
    record = Record(**{**given, "run_id": "nightly", "started_at": ended, "status": "succeeded", "target": "/t"})
    asked = config(guarded.uris["version"], place)
    log_to_mlflow(record, asked, pin(asked))
    (run,) = MlflowClient(place, place).search_runs(["0"], "tags.`spark_scoring.run_id` = 'nightly'")
    assert run.info.status == "FINISHED"
    assert run.info.end_time >= run.info.start_time
    assert ADMIN[1] not in "".join(capfd.readouterr())


def test_a_token_that_a_server_answers_with_500_is_named(quick, monkeypatch):
    monkeypatch.setenv(TOKEN, "a-wrong-token")
    with saying(lambda _: (500, "text/html", "<html>Internal Server Error</html>")) as server:
        error = refusal("models:/flights/1", server)
    assert TOKEN in error.message
    assert "a-wrong-token" not in str(error)


def test_a_password_that_changes_in_between_is_told_with_what_was_done(guarded, monkeypatch):
    monkeypatch.setenv(USER, "bob")
    monkeypatch.setenv(SECRET, PASSWORD)
    named = config(guarded.uris["alias"], guarded.server.uri)
    model = pin(named)
    monkeypatch.setenv(SECRET, "another")
    with pytest.raises(ModelError) as caught:
        fetch(model, named)
    assert caught.value.code == "registry_denied"
    assert "it answered when models:/flights/1 was looked up" in caught.value.message
    assert "nothing is scored or written" in caught.value.message


# What is no MLflow server, or stands before one.

LOGGED = "models:/m-" + "0" * 32
RUN = "runs:/" + "0" * 32 + "/model"
NAMED = [
    "models:/flights/1",
    "models:/flights@champion",
    "models:/flights/latest",
    *([LOGGED] if "logged" in FORMS else []),
    RUN,
    "mlflow-artifacts:/1/m",
]
NO_MLFLOW: dict[str, tuple[Answer, str]] = {
    "a page to sign in": (PAGE, "it answered with a page that is not MLflow's"),
    "a page elsewhere": ((302, "/sign-in", ""), "it answered with a page that is not MLflow's"),
    "a wrong path": ((404, "text/html", "<html>no such page</html>"), "it answered 404 with a web page"),
    "a proxy that wants a password": ((407, "text/html", "<html></html>"), "a proxy asks for a password"),
    "a proxy before a server that is down": ((502, "text/html", "<html>Bad Gateway</html>"), "it answered 502"),
    "a proxy before a busy one": ((503, "text/plain", ""), "it answered 503"),
    "a proxy before a slow one": ((504, "text/plain", ""), "it answered 504"),
    "a server with too many guests": ((429, "text/plain", ""), "it answered 429"),
}


@pytest.mark.parametrize("uri", NAMED)
@pytest.mark.parametrize("what", NO_MLFLOW)
def test_what_answers_in_mlflows_place_is_told_in_words(what, uri, quick):
    first, said = NO_MLFLOW[what]
    with saying(lambda path: PAGE if path == "/sign-in" else first) as server:
        error = refusal(uri, server)
    assert error.code == "registry_unreachable"
    assert error.message.startswith(f"{server} did not answer: {said}")


@pytest.mark.parametrize(
    "said", ["{}", "", "null", "[]", '{"model_version": {"version": "1"}}', '{"artifact_uri": ""}']
)
@pytest.mark.parametrize("uri", NAMED)
def test_a_server_that_says_nothing_names_no_model_least_of_all_the_working_directory(
    uri, said, quick, adds, monkeypatch
):
    monkeypatch.chdir(adds)
    with saying(lambda _: (200, "application/json", said)) as server:
        error = refusal(uri, server)
    if uri in ("models:/flights/1", "models:/flights@champion", LOGGED):
        assert (error.code, "none of MLflow's" in error.message or "not MLflow's" in error.message) == (
            "registry_unreachable",
            True,
        )
    assert adds not in error.message


@pytest.mark.parametrize("uri", ["models:/flights/1", RUN])
@pytest.mark.parametrize("server", ["databricks://", "databricks-uc://", "http://127.0.0.1:56o1", "http://[::1"])
def test_what_is_no_address_of_a_server_is_told_as_that(uri, server):
    error = refusal(uri, server)
    assert (error.code, error.message.partition(": ")[0].partition(" is ")[0]) == ("registry_unreachable", server)
    assert "model.tracking_uri" in error.remedy


@pytest.mark.skipif("logged" not in FORMS, reason="MLflow 2 has no logged models")
def test_a_logged_model_that_is_not_there_is_asked_of_the_tracking_server(plain):
    error = refusal(LOGGED, plain.server.uri)
    assert (error.code, error.message) == ("model_not_found", f"{plain.server.uri} has no logged model {LOGGED[8:]}")
    assert "model.tracking_uri" in error.remedy


def test_a_path_that_is_not_the_server_s_is_told(plain):
    error = refusal("models:/flights/1", f"{plain.server.uri}/elsewhere")
    assert (error.code, "404" in error.message) == ("registry_unreachable", True)


@pytest.mark.parametrize("uri", NAMED)
def test_a_host_that_no_name_server_knows_is_named(uri, quick):
    error = refusal(uri, "http://registry.invalid:5000")
    assert error.code == "registry_unreachable"
    assert re.search("knows its host|name or service|name resolution", error.message), error.message


def file_server(files: dict[str, Answer]) -> Callable[[str], Answer]:
    """Answers as MLflow's proxy for artifacts does."""

    def answer(path: str) -> Answer:
        name = path.partition("?")[0].rpartition("/")[2]
        if name == "artifacts":
            return 200, "application/json", '{"files": []}'
        return files.get(name, (404, "application/json", '{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": ""}'))

    return answer


MLMODEL: Answer = (200, "text/plain", "flavors: {python_function: {loader_module: any, env: {}}}\n")


def test_a_model_without_a_list_of_packages_is_one(quick):
    with saying(file_server({"MLmodel": MLMODEL})) as server:
        assert pin(config("mlflow-artifacts:/1/m", server)).requirements == ()
        assert refusal("mlflow-artifacts:/1/m/deeper", server).code != "registry_unreachable"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((401, "text/html", "You are not authenticated"), "registry_denied"),
        ((403, "text/html", "no"), "registry_denied"),
        ((503, "text/html", "away"), "registry_unreachable"),
        (PAGE, "registry_unreachable"),
    ],
)
def test_packages_that_can_t_be_read_are_not_taken_for_none(answer, code, quick):
    with saying(file_server({"MLmodel": MLMODEL, "requirements.txt": answer})) as server:
        assert refusal("mlflow-artifacts:/1/m", server).code == code


def test_a_page_in_place_of_the_model_s_file_is_told_as_that(quick):
    with saying(file_server({"MLmodel": PAGE})) as server:
        error = refusal("mlflow-artifacts:/1/m", server)
    assert error.code == "registry_unreachable"
    assert "with a web page in place of the model's MLmodel" in error.message


# TLS.


@pytest.mark.parametrize("form", FORMS)
def test_a_server_without_tls_is_told_as_that(form, plain):
    error = refusal(plain.uris[form], plain.server.uri.replace("http://", "https://"))
    assert error.code == "registry_tls"
    assert "http://" in str(error.remedy)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate that nobody but itself vouches for."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path = tmp_path_factory.mktemp("certificate") / "own.pem"
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, plain) + made.public_bytes(pem)
    )
    return path


@pytest.mark.parametrize("uri", NAMED)
def test_a_certificate_that_is_not_trusted_is_told_as_that(uri, certificate, quick):
    with saying(lambda _: PAGE, certificate) as server:
        error = refusal(uri, server)
    assert error.code == "registry_tls"
    assert "certificate is not trusted here: self" in error.message
    assert "MLFLOW_TRACKING_SERVER_CERT_PATH" in str(error.remedy)


def test_a_server_with_tls_that_is_called_without_is_told(certificate, quick):
    with saying(lambda _: PAGE, certificate) as server:
        error = refusal("models:/flights/1", server.replace("https://", "http://"))
    assert error.code == "registry_unreachable"
    assert "it hung up without an answer" in error.message


# What dies in the middle.


def looked_up(served: Served, form: str) -> tuple[Door, ModelConfig, PinnedModel]:
    door = Door(served.server)
    named = config(served.uris[form], door.uri)
    return door, named, pin(named)


@pytest.mark.parametrize("form", [form for form in ("alias", "run", "logged") if form in FORMS])
@pytest.mark.parametrize("how", ["shut", "hold"])
def test_a_server_that_dies_after_the_look_up_is_recognized(how, form, plain, request):
    door, named, model = looked_up(plain, form)
    request.getfixturevalue("quick")
    getattr(door, how)()
    started = time.monotonic()
    with pytest.raises(ModelError) as caught:
        fetch(model, named)
    assert time.monotonic() - started < 20
    assert caught.value.code == "registry_unreachable"
    assert caught.value.message.startswith(f"{door.uri} did not answer")
    assert f"it answered when {model.pinned_uri} was looked up" in caught.value.message
    assert "nothing is scored or written" in caught.value.message


@pytest.mark.full
@pytest.mark.parametrize("how", ["shut", "hold"])
def test_that_takes_half_a_minute_at_most(how, plain, monkeypatch):
    door, named, model = looked_up(plain, "alias")
    getattr(door, how)()
    started = time.monotonic()
    with pytest.raises(ModelError):
        fetch(model, named)
    assert time.monotonic() - started < 30


def test_a_server_that_takes_its_time_for_a_file_is_waited_for(quick):
    def slow(path: str) -> Answer:
        if path.endswith("MLmodel") and looks:
            time.sleep(2.5)
        listing = '{"files": [{"path": "MLmodel", "is_dir": false, "file_size": 60}]}'
        if path.partition("?")[0].endswith("artifacts"):
            return 200, "application/json", listing if looks else '{"files": []}'
        return file_server({"MLmodel": MLMODEL})(path)

    looks: list[str] = []
    with saying(slow) as server:
        named = config("mlflow-artifacts:/1/m", server)
        model = pin(named)
        looks.append("for all of them")
        assert fetch(model, named).digest


def test_whoever_has_set_mlflow_s_patience_waits_as_long(plain, monkeypatch, quick):
    monkeypatch.setenv(PATIENCE[1], "60")
    monkeypatch.setattr(Budget.__init__, "__defaults__", (60,))
    door, named, model = looked_up(plain, "alias")
    monkeypatch.setenv(PATIENCE[0], "0")
    monkeypatch.setenv(PATIENCE[1], "3")
    door.hold()
    started = time.monotonic()
    with pytest.raises(ModelError) as caught:
        fetch(model, named)
    assert time.monotonic() - started > 2.5
    assert caught.value.code == "registry_unreachable"


LEFT = """
import os, sys
from spark_scoring.errors import ModelError
from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.models.connection import Budget
from spark_scoring.models.pinned import pin
Budget.__init__.__defaults__ = (3,)
try:
    pin(ModelConfig(uri="mlflow-artifacts:/1/m", tracking_uri=sys.argv[1]))
except ModelError as error:
    print(error.code, flush=True)
"""


def test_a_command_ends_though_a_file_never_does(tmp_path):
    """MLflow downloads in threads for which Python waits at its end."""

    def one_byte_at_a_time(path: str) -> Answer:
        if path.endswith("MLmodel"):
            time.sleep(8)
        return file_server({"MLmodel": MLMODEL})(path)

    with saying(one_byte_at_a_time) as server:
        program = [sys.executable, "-c", LEFT, server]
        environment = {**os.environ, "PYTHONPATH": str(PAGES.parent)}
        started = subprocess.Popen(program, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
        assert started.stdout is not None
        assert started.stdout.readline() == "registry_unreachable\n"
        at = time.monotonic()
        assert started.wait(30) == 0
        assert time.monotonic() - at < 4


# What the docs show.


def test_the_command_of_the_page_is_what_works(guarded, monkeypatch):
    page = (PAGES / "registries.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```bash\n(spark-scoring .*?)```", page, re.DOTALL)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", guarded.server.uri)
    monkeypatch.setenv(USER, "bob")
    monkeypatch.setenv(SECRET, PASSWORD)
    for name in PATIENCE:
        monkeypatch.setenv(name, "60" if "TIMEOUT" in name else "2")
    words = shlex.split(block)
    monkeypatch.setenv("PYTHONPATH", str(PAGES.parent))
    done = subprocess.run(
        [sys.executable, "-m", "spark_scoring", *words[1:]], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["pinned"] == "models:/flights/1"
    assert PASSWORD not in done.stdout + done.stderr
