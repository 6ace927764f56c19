"""`model.allow`: what may be loaded, decided on the URI before anything is asked or read."""

from __future__ import annotations

import pytest

from spark_scoring.errors import ModelError
from spark_scoring.jobs.config import ModelConfig
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
