"""`model.allow`: what may be loaded, decided on the URI before anything is asked or read."""

from __future__ import annotations

import pytest

from spark_scoring.errors import ModelError
from spark_scoring.jobs.model_config import ModelConfig
from spark_scoring.models.allow import is_allowed
from spark_scoring.models.pinned import pin


@pytest.mark.parametrize(
    ("allow", "uri"),
    [
        (["models:/flights"], "models:/flights2/1"),
        (["models:/flights"], "models:/flights-of-fancy@champion"),
        (["models:/prod."], "models:/prod.x/../../evil/1"),
        (["models:/flights"], "runs:/abc/model"),
        (["/models/prod"], "/models/prod/../evil"),
        (["/models/prod"], "/models/production"),
        (["/models/prod"], "file:///models/prod/%2e%2e/evil"),
        (["models:/a", "models:/b"], "models:/c/1"),
    ],
)
def test_anything_else_is_refused(allow, uri):
    with pytest.raises(ModelError) as caught:
        pin(ModelConfig(uri=uri, allow=tuple(allow)))
    assert caught.value.code == "model_not_allowed"
    assert allow[0] in (caught.value.available or "")


@pytest.mark.parametrize("suffix", ["", "/1", "@champion"])
def test_a_name_allows_its_versions_and_aliases(registry, adds, suffix):
    registry.register("allowed", adds, alias="champion")
    config = ModelConfig(
        uri="models:/allowed/1" if not suffix else f"models:/allowed{suffix}", tracking_uri=registry.uri
    )
    allow = "models:/allowed/1" if not suffix else "models:/allowed"
    assert pin(config.model_copy(update={"allow": (allow,)})).name == "allowed"


def test_a_folder_allows_what_is_below_it(adds, tmp_path):
    parent = adds.rsplit("/", 1)[0]
    for allow in (adds, parent, f"{parent}/", f"file://{parent}"):
        assert pin(ModelConfig(uri=adds, allow=(allow,))).path == adds
    link = tmp_path / "link"
    link.symlink_to(adds)
    with pytest.raises(ModelError):
        pin(ModelConfig(uri=str(link), allow=(str(tmp_path),)))


ALLOWED = [
    ("http://good.example", "http://good.example"),
    ("http://good.example", "http://good.example/models/a"),
    ("http://good.example/", "http://GOOD.example/models/a"),
    ("HTTP://good.example", "http://good.example/models/a"),
    ("http://good.example", "http://good.example:80/models/a"),
    ("https://good.example:443/m", "https://good.example/m/a"),
    ("http://good.example:8080/m", "http://good.example:8080/m"),
    ("http://good.example/m/", "http://good.example/m/a"),
    ("http://good.example/m?part=1", "http://good.example/m?part=1"),
    ("http://ada:pw@good.example", "http://ada:pw@good.example/x"),
    ("http://[::1]:5000", "http://[::1]:5000/m"),
    ("s3://good", "s3://good/models/a"),
    ("s3://good/prod", "s3://good/prod/a b/ü"),
    ("s3://good/prod", "s3://good/prod/50%25"),
    ("s3://", "s3://any/model"),
    ("abfss://models@store.dfs.core.windows.net", "abfss://models@store.dfs.core.windows.net/prod/a"),
    ("dbfs:/models", "dbfs:/models/a"),
    ("runs:/", "runs:/0123/model"),
    ("runs:/0123", "runs:/0123/model"),
    ("models:/", "models:/reg/3"),
    ("models:/", "models:/m-0123456789abcdef0123456789abcdef"),
    ("models:/reg", "models:/reg"),
    ("models:/reg", "models:/reg/3"),
    ("models:/reg", "models:/reg/latest"),
    ("models:/reg", "models:/reg@champion"),
    ("models:/reg/", "models:/reg/3"),
    ("models:/reg", "MODELS:/reg/3"),
    ("models:/reg/3", "models:/reg/3"),
    ("models:/reg@champion", "models:/reg@champion"),
    ("models:/main.prod.reg", "models:/main.prod.reg/3"),
]

REFUSED = [
    # Whoever stands before the @ is a user, and what comes behind it is the server.
    ("http://good.example", "http://good.example@127.0.0.1:5000/x"),
    ("http://good.example", "http://good.example:80@evil.example/x"),
    ("http://good.example/m", "http://good.example/m@evil.example/x"),
    ("http://good.example", "http://good.example%40evil.example/x"),
    ("http://good.example", "http://ada@good.example/x"),
    ("http://good.example", "http://@good.example/x"),
    ("http://ada@good.example", "http://good.example/x"),
    ("http://ada:pw@good.example", "http://ada:other@good.example/x"),
    ("s3://good", "s3://good@evil/x"),
    ("s3://good/", "s3://good@evil/good/x"),
    ("s3://good", "s3://evil@good/x"),
    ("abfss://models@store.example", "abfss://other@store.example/x"),
    ("abfss://models@store.example", "abfss://Models@store.example/x"),
    # Another server.
    ("http://good.example", "http://good.example.evil.example/x"),
    ("http://good.example", "http://good.exampleevil/x"),
    ("http://good.example", "http://evil.good.example/x"),
    ("http://good.example", "http://good.example./x"),
    ("http://good.example", "http:///good.example/x"),
    ("http://good.example", "http:/good.example/x"),
    ("http://good.example", "http:good.example/x"),
    ("http://good.example", "http://evil.example/http://good.example"),
    ("http://good.example", "http://evil.example?http://good.example"),
    ("http://good.example", "http://evil.example#http://good.example"),
    ("http://good.example", "//good.example/x"),
    ("http://[::1]", "http://[::2]/x"),
    ("http://[::1]", "http://[::1]evil/x"),
    ("http://[::1]", "http://[::1/x"),
    ("s3://good", "s3://goods/x"),
    ("s3://good", "s3:/good/x"),
    # Another port, or none at all.
    ("http://good.example", "http://good.example:8080/x"),
    ("http://good.example:80", "http://good.example:8080/x"),
    ("http://good.example:5000", "http://good.example/x"),
    ("http://good.example:443", "http://good.example/x"),
    ("http://good.example", "http://good.example:99999/x"),
    ("http://good.example", "http://good.example:-80/x"),
    ("http://good.example", "http://good.example:0x50/x"),
    ("http://good.example", "http://good.example:eighty/x"),
    # Another scheme.
    ("https://good.example", "http://good.example/x"),
    ("s3://good", "gs://good/x"),
    ("models:/reg", "runs:/reg/3"),
    ("s3://", "s3a://any/model"),
    ("file:///models", "file://evil.example/models/a"),
    ("/models", "file://evil.example/models/a"),
    ("/models", "s3:/models/a"),
    # Another path, however it is written.
    ("http://good.example/m", "http://good.example/model"),
    ("http://good.example/m", "http://good.example/M"),
    ("http://good.example/m", "http://good.example"),
    ("http://good.example/m", "http://good.example//m"),
    ("http://good.example/m", "http://good.example/m/../x"),
    ("http://good.example/m", "http://good.example/m/./../x"),
    ("http://good.example/m", "http://good.example/m/.."),
    ("http://good.example/m", "http://good.example/m/%2e%2e/x"),
    ("http://good.example/m", "http://good.example/m/%2E./x"),
    ("http://good.example/m", "http://good.example/m/%252e%252e/x"),
    ("http://good.example/m", "http://good.example/m/%25252e%25252e/x"),
    ("http://good.example/m", "http://good.example/m/..%2fx"),
    ("http://good.example/m", "http://good.example/m/a%2f..%2f..%2fx"),
    ("http://good.example/m", "http://good.example/m/..;/x"),
    ("http://good.example/m", "http://good.example/m/..\\x"),
    ("http://good.example/m", "http://good.example/m/..%5cx"),
    ("http://good.example/m", "http://good.example\\@evil.example/m"),
    ("http://good.example/m", "http:\\\\good.example/m"),
    ("http://good.example/m", "http://good.example/m%00"),
    ("http://good.example/m", "http://good.example/%6d"),
    ("s3://good/prod", "s3://good/prod/../dev"),
    ("s3://good/prod", "s3://good/production"),
    ("runs:/0123", "runs:/0123/../4567/model"),
    ("runs:/0123", "runs:/01234/model"),
    ("dbfs:/models", "dbfs:/models/%2e%2e/x"),
    # What a query or a fragment selects.
    ("http://good.example/m", "http://good.example/m?of=evil"),
    ("http://good.example/m?part=1", "http://good.example/m?part=12"),
    ("http://good.example/m?part=1", "http://good.example/m"),
    ("http://good.example/m", "http://good.example/m#evil"),
    ("http://good.example", "http://good.example?@evil.example/"),
    ("http://good.example", "http://good.example#@evil.example/"),
    # What one program reads and another leaves out.
    ("http://good.example", " http://good.example/x"),
    ("http://good.example", "http://good.example/x "),
    ("http://good.example", "http://good.example\t/x"),
    ("http://good.example", "ht\ntp://good.example/x"),
    ("http://good.example/m", "http://good.example/m/.\t./x"),
    ("http://good.example/m", "http://good.example/m/\u202e/x"),
    ("models:/reg", "\nmodels:/reg/3"),
    # A name has a version or one alias.
    ("models:/reg", "models:/reg@x@champion"),
    ("models:/reg", "models:/reg@@champion"),
    ("models:/reg", "models:/reg@"),
    ("models:/reg", "models:/reg/"),
    ("models:/reg", "models:/reg/3@champion"),
    ("models:/reg", "models:/reg@champion/3"),
    ("models:/reg", "models:/reg/3/../../evil/1"),
    ("models:/reg", "models:/reg/evil/3"),
    ("models:/reg", "models:/reg%2fevil/3"),
    ("models:/reg", "models:/reg%40x/3"),
    ("models:/reg", "models:/reg2/3"),
    ("models:/reg", "models:/Reg/3"),
    ("models:/reg", "models:/evil/reg/3"),
    ("models:/reg", "models:/reg:x/3"),
    ("models:/reg", "models://evil@reg/3"),
    ("models:/reg", "models:/m-0123456789abcdef0123456789abcdef"),
    ("models:/reg/3", "models:/reg/33"),
    ("models:/reg/3", "models:/reg/03"),
    ("models:/reg/3", "models:/reg/\uff13"),
    ("models:/reg/3", "models:/reg"),
    ("models:/reg/3", "models:/reg@champion"),
    ("models:/reg@champion", "models:/reg/3"),
    ("models:/reg@champion", "models:/reg@champion2"),
    ("models:/reg@champion", "models:/reg@Champion"),
    ("models:/reg@x@champion", "models:/reg@x@champion"),
    ("models:/main.prod", "models:/main.prod.reg/3"),
    ("file:///models", "file:///models/%00"),
    ("file:///models", "file:///models%2f..%2fevil"),
    ("models", "models:/reg/3"),
    ("*", "models:/reg/3"),
    (".", "models:/reg/3"),
]


@pytest.mark.parametrize(("allowed", "uri"), ALLOWED)
def test_what_an_entry_names_is_allowed(allowed, uri):
    assert is_allowed(uri, allowed)


@pytest.mark.parametrize(("allowed", "uri"), REFUSED)
def test_what_only_begins_like_an_entry_is_not(allowed, uri):
    assert not is_allowed(uri, allowed)


@pytest.mark.parametrize("uri", ["MODELS:/cased@champion", "Models:/cased/1", "models://cased/1"])
def test_however_its_scheme_is_written_a_registered_model_is_pinned(uri, registry, adds):
    """MLflow reads a scheme in any case, and would follow the alias at each download."""
    if not registry.client.search_registered_models("name = 'cased'"):
        registry.register("cased", adds, alias="champion")
    assert pin(ModelConfig(uri=uri, tracking_uri=registry.uri)).pinned_uri == "models:/cased/1"


@pytest.mark.parametrize("uri", ["models:/reg@x@champion", "models:/reg@champion/3", " models:/reg/1", "s3:/a\\b"])
def test_what_names_no_model_is_refused_without_asking_anybody(uri):
    with pytest.raises(ModelError) as caught:
        pin(ModelConfig(uri=uri, tracking_uri="http://127.0.0.1:9"))
    assert caught.value.code == "model_not_found"
