import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from patience import LONGEST

from snap2caption.errors import UserError
from snap2caption.registry.champion_log import ChampionLog, Decision
from snap2caption.registry.client import CHALLENGER, CHAMPION, PREVIOUS, ChampionState, Registry
from snap2caption.registry.version_tags import set_version_tag

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
    for reference in ("nobody", "²", "9" * 5000):
        with pytest.raises(UserError, match=f"has no run '{reference}'"):
            registry.resolve(reference)


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("champion", "no model has been promoted yet"),
        ("challenger", "the gate has admitted no model that still waits for promotion"),
        ("previous", "fewer than two models have been promoted"),
        ("1", "has no version 1"),
    ],
)
def test_a_missing_model_is_told_with_its_reason(registry, reference, reason):
    with pytest.raises(UserError, match=reason):
        registry.resolve(reference)


def test_nothing_promoted_is_not_called_one_promoted(registry):
    with pytest.raises(UserError, match="no previous model to roll back to: none has been promoted"):
        registry.rollback()


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
    with pytest.raises(UserError, match="no previous model to roll back to: only one has been promoted"):
        registry.rollback()
    registry.promote(two)
    assert registry.rollback() == one
    assert (registry.by_alias(CHAMPION), registry.by_alias(PREVIOUS)) == (one, two)
    assert registry.rollback() == two


def test_a_challenger_is_one_until_it_is_promoted_or_withdrawn(registry, register):
    one, two = register("a"), register("b")
    registry.challenge(one)
    registry.challenge(two)
    assert registry.by_alias(CHALLENGER) == two
    registry.withdraw(one.run_id)
    assert registry.by_alias(CHALLENGER) == two
    registry.promote(two)
    assert registry.by_alias(CHALLENGER) is None
    registry.challenge(one)
    registry.withdraw(one.run_id)
    assert registry.by_alias(CHALLENGER) is None


def test_the_record_tells_who_was_in_service_and_loads_as_such(registry, register):
    one, two = register("a"), register("b")
    registry.promote(one)
    registry.promote(two)
    registry.rollback()
    client = registry.client()
    entries = client.search_model_versions(f"name = '{registry.name}-champions'")
    champions = [entry.tags["champion"] for entry in sorted(entries, key=lambda entry: int(entry.version))]
    assert champions == ["1", "2", "1"]
    # The second champion, as anything that loads models by their URI finds it.
    where = [client.get_model_version_download_uri(f"{registry.name}{part}", "2") for part in ("", "-champions")]
    assert where[0] == where[1]


def test_a_rollback_is_done_once_for_a_request(registry, register):
    one, two = register("a"), register("b")
    registry.promote(one)
    registry.promote(two)
    assert registry.rollback("request 1") == registry.rollback("request 1") == one
    assert registry.by_alias(CHAMPION) == one
    assert registry.rollback("request 2") == two


def test_what_was_rolled_back_is_known_until_it_is_put_back(registry, register):
    one, two, three = register("a"), register("b"), register("c")
    registry.promote(one)
    registry.promote(two)
    assert not registry.was_rolled_back(two)
    registry.rollback()
    assert registry.was_rolled_back(two)
    assert not registry.was_rolled_back(one)
    registry.promote(three)
    assert registry.was_rolled_back(two)
    assert not registry.was_rolled_back(one)
    registry.promote(two)
    assert not registry.was_rolled_back(two)


def test_a_killed_promotion_is_finished_by_the_next(registry, register):
    one, two = register("a"), register("b")
    registry.promote(one)
    # What a process leaves that dies between its decision and the aliases.
    ChampionLog(registry.name).propose(
        registry.client(), Decision(two.version, one.version, registry.standing().decision)
    )
    assert registry.by_alias(CHAMPION) == one
    standing = registry.standing()
    assert (standing.champion, standing.previous) == (two, one)
    assert (registry.by_alias(CHAMPION), registry.by_alias(PREVIOUS)) == (two, one)


def test_a_killed_rollback_does_not_lose_the_other_model(registry, register):
    one, two = register("a"), register("b")
    registry.promote(one)
    registry.promote(two)
    wanted = Decision(one.version, two.version, registry.standing().decision, rollback=True, request="r")
    ChampionLog(registry.name).propose(registry.client(), wanted)
    # As far as it may have come.
    registry.client().set_registered_model_alias(registry.name, PREVIOUS, str(two.version))
    assert registry.rollback("r") == one
    assert (registry.by_alias(CHAMPION), registry.by_alias(PREVIOUS)) == (one, two)


def test_a_champion_set_by_hand_counts(registry, register):
    one, two, three = register("a"), register("b"), register("c")
    client = registry.client()
    # Before there is a record, and beside one.
    client.set_registered_model_alias(registry.name, CHAMPION, "1")
    assert registry.standing().champion == one
    registry.promote(two)
    client.set_registered_model_alias(registry.name, CHAMPION, "3")
    standing = registry.standing()
    assert (standing.champion, standing.previous) == (three, two)
    assert registry.rollback() == two
    client.delete_registered_model_alias(registry.name, CHAMPION)
    assert registry.standing() == ChampionState(None, two, registry.standing().decision)
    registry.promote(two)
    assert registry.by_alias(CHAMPION) == two


def test_of_promotions_at_once_exactly_one_is_decided(registry, register):
    """All were decided upon the same standing; whoever comes second is told, and leaves nothing behind."""
    versions = [register(name) for name in "abcd"]
    for number in range(3):
        standing = registry.standing()
        contenders = [version for version in versions if version != standing.champion]
        together = threading.Barrier(len(contenders))

        def promote(version, standing=standing, together=together):
            mine = Registry(registry.tracking_uri, registry.name)
            together.wait(LONGEST)
            try:
                mine.promote(version, standing)
            except UserError as error:
                return str(error)
            return None

        with ThreadPoolExecutor(len(contenders)) as threads:
            outcomes = list(threads.map(promote, contenders))
        assert sum(outcome is None for outcome in outcomes) == 1, outcomes
        assert all("Another promotion or rollback came first" in outcome for outcome in outcomes if outcome)
        winner = contenders[outcomes.index(None)]
        assert (registry.by_alias(CHAMPION), registry.by_alias(PREVIOUS)) == (winner, standing.champion)
        assert registry.standing().champion == winner
        assert len(registry.client().search_model_versions(f"name = '{registry.name}-champions'")) == number + 1


def test_the_same_promotion_twice_at_once_is_one(registry, register):
    one, two = register("a"), register("b")
    registry.promote(one)
    standing = registry.standing()
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: registry.promote(two, standing), range(2)))
    assert (registry.by_alias(CHAMPION), registry.by_alias(PREVIOUS)) == (two, one)


def test_a_run_registered_twice_at_once_has_one_version(registry, register):
    register("a")
    client = registry.client()
    run_id = client.create_run("0").info.run_id
    model = client.create_logged_model("0", source_run_id=run_id)
    client.finalize_logged_model(model.model_id, "READY")
    with ThreadPoolExecutor(4) as threads:
        versions = list(threads.map(lambda _: registry.register(run_id, model.model_uri, TAGS), range(4)))
    assert len({version.version for version in versions}) == 1
    assert registry.by_run(run_id) == versions[0]


def test_a_server_that_is_away_is_one_sentence(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(UserError, match=r"MLflow at http://127.0.0.1:9 refused the request or did not answer"):
        Registry("http://127.0.0.1:9", "any").by_alias(CHAMPION)


def test_a_tag_that_many_set_at_once_is_set_by_all(registry, register):
    """As at the end of promotions at once: all of them mark the one that was decided as applied."""
    client, version = registry.client(), register("a")
    for number in range(12):
        together = threading.Barrier(12)

        def mark(value, name=f"tag-{number}", together=together):
            together.wait(LONGEST)
            set_version_tag(client, registry.name, version.version, name, str(value))

        with ThreadPoolExecutor(12) as threads:
            list(threads.map(mark, range(12)))
        tags = client.get_model_version(registry.name, str(version.version)).tags
        assert tags[f"tag-{number}"] in {str(value) for value in range(12)}
