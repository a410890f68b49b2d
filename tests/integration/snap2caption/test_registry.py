import pytest

from snap2caption.errors import UserError
from snap2caption.registry import CHAMPION, PREVIOUS, Registry

pytestmark = pytest.mark.integration

TAGS = {"base": "demo-base", "base_revision": "abc", "dataset_version": "d1", "dataset_uri": "file:///d1"}


@pytest.fixture
def registry(tracking_uri, request):
    return Registry(tracking_uri, request.node.name)


@pytest.fixture
def register(registry):
    """Register a run of the name, and return the version."""
    runs = {}

    def register_it(name):
        if name not in runs:
            client = registry.client()
            run_id = client.create_run("0").info.run_id
            model = client.create_logged_model("0", source_run_id=run_id)
            client.finalize_logged_model(model.model_id, "READY")
            runs[name] = run_id, model.model_uri
        return registry.register(*runs[name], TAGS)

    return register_it


def test_nothing_is_there_at_first(registry):
    assert registry.by_alias(CHAMPION) is None
    assert registry.by_run("nobody") is None
    for reference in ("champion", "1", "nobody"):
        with pytest.raises(UserError, match=f"has no model .* '{reference}'"):
            registry.resolve(reference)


def test_a_run_is_registered_once(registry, register):
    version = register("a")
    assert version.version == 1
    assert (version.base, version.dataset_uri) == ("demo-base", "file:///d1")
    assert register("a") == version
    assert register("b").version == 2
    assert registry.resolve("1") == registry.resolve(version.run_id) == version


def test_promotion_keeps_the_one_before(registry, register):
    one, two = register("a"), register("b")
    registry.promote(one)
    assert registry.by_alias(PREVIOUS) is None
    registry.promote(one)
    assert registry.by_alias(PREVIOUS) is None
    registry.promote(two)
    assert (registry.by_alias(CHAMPION), registry.by_alias(PREVIOUS)) == (two, one)
    assert registry.resolve("champion") == two


def test_rolling_back_swaps_the_two(registry, register):
    one, two = register("a"), register("b")
    registry.promote(one)
    with pytest.raises(UserError, match="no previous model"):
        registry.rollback()
    registry.promote(two)
    assert registry.rollback() == one
    assert (registry.by_alias(CHAMPION), registry.by_alias(PREVIOUS)) == (one, two)
    assert registry.rollback() == two


def test_a_server_that_is_away_is_one_sentence(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(UserError, match=r"MLflow at http://127.0.0.1:9 refused or did not answer"):
        Registry("http://127.0.0.1:9", "any").by_alias(CHAMPION)
