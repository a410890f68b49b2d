"""Who was champion after whom: a record on which any number of machines agree without a lock.

MLflow sets an alias without looking at what it was before, so two promotions at once could each overwrite what the other has decided. A lock
would not help: its holder may be killed, or sleep longer than the lock lasts. But MLflow numbers the versions of a registered model, in one
transaction of its database, and gives no number twice. So each decision is a version of a registered model of its own,
``<model>-champions``: its version n is the n-th decision, and names the decision that it was made upon. Of two made upon the same one, the
later is void, for every reader alike. The aliases follow the record.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

_NOTE = "Every model that became the champion, in order, as `snap2caption promote` and `rollback` decided. They read it: do not edit it."


@dataclass(frozen=True, slots=True)
class Decision:
    """From now on version *champion* is the champion, and version *previous* the one before (None: there was none).

    ``number`` is its place in the record, ``follows`` that of the decision that it was made upon (0: none). ``rollback``: it takes *previous* out of
    service again. ``request`` names the request that it answers, if that has a name. ``applied``: the aliases have followed.
    """

    champion: int
    previous: int | None
    follows: int
    rollback: bool = False
    request: str = ""
    number: int = 0
    applied: bool = False


class ChampionLog:
    """The record of the registered model *model*. Its methods raise what MLflow raises."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.name = f"{model}-champions"

    def decisions(self, client: "MlflowClient") -> list[Decision]:
        """Return the decisions that hold, in their order."""
        found = client.search_model_versions(f"name = '{self.name}'")
        # One without tags is being deleted at this moment, since it is void.
        return list(valid(_read(version) for version in found if version.tags))

    def propose(self, client: "MlflowClient", decision: Decision) -> Decision | None:
        """Write *decision* down, and return it if it holds; None: another was made upon the same one before."""
        create_model(client, self.name, _NOTE)
        tags = {"champion": str(decision.champion), "follows": str(decision.follows)}
        if decision.previous is not None:
            tags["previous"] = str(decision.previous)
        if decision.rollback:
            tags["rollback"] = "true"
        if decision.request:
            tags["request"] = decision.request
        # A source that loads: ``models:/<model>-champions/n`` is the n-th champion.
        source = f"models:/{self.model}/{decision.champion}"
        number = int(client.create_model_version(self.name, source=source, tags=tags).version)
        made = next((made for made in self.decisions(client) if made.number == number), None)
        if made is None:
            client.delete_model_version(self.name, str(number))
        return made

    def mark_applied(self, client: "MlflowClient", decision: Decision) -> None:
        """Note that the aliases have followed *decision*."""
        client.set_model_version_tag(self.name, str(decision.number), "applied", "true")


def valid(decisions: Iterable[Decision]) -> Iterator[Decision]:
    """Yield those of *decisions* that hold: each was made upon the one that held before it."""
    last = 0
    for decision in sorted(decisions, key=lambda decision: decision.number):
        if decision.follows == last:
            yield decision
            last = decision.number


def create_model(client: "MlflowClient", name: str, note: str | None = None) -> None:
    """Create a registered model, if there is none of that *name*."""
    from mlflow.exceptions import MlflowException

    if client.search_registered_models(f"name = '{name}'"):
        return
    try:
        client.create_registered_model(name, description=note)
    except MlflowException as error:
        # Another process was faster.
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _read(version: Any) -> Decision:
    tags = version.tags
    return Decision(
        champion=int(tags["champion"]),
        previous=int(tags["previous"]) if "previous" in tags else None,
        follows=int(tags["follows"]),
        rollback="rollback" in tags,
        request=tags.get("request", ""),
        number=int(version.version),
        applied="applied" in tags,
    )
