"""Champion log: a record of promotions and rollbacks that any number of machines agree on without a lock.

MLflow sets an alias without comparing it with its former value, so two concurrent promotions could overwrite each
other. A lock would not help: its holder may be killed, or sleep longer than the lock lasts. But MLflow numbers the
versions of a registered model in one database transaction, and never gives a number twice. So each decision is a
version of a registered model of its own, ``<model>-champions``: version n is the n-th decision, and names the
decision that it is based on. Of two decisions based on the same one, every reader ignores the later. The aliases
follow the record.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from snap2caption.registry.version_tags import set_version_tag

if TYPE_CHECKING:
    from mlflow import MlflowClient

_NOTE = (
    "Every model that became the champion, in order, as `snap2caption promote` and `rollback` decided. "
    "They read it: do not edit it."
)


@dataclass(frozen=True, slots=True)
class Decision:
    """From now on, version *champion* is the champion, and version *previous* the one before it (None: there was
    none).

    ``number`` is the decision's place in the record, and ``follows`` that of the decision that it is based on (0:
    none). ``rollback``: it takes *previous* out of service again. ``request`` is the name of the request that it
    answers, if it has one. ``applied``: the aliases have been set.
    """

    champion: int
    previous: int | None
    follows: int
    rollback: bool = False
    request: str = ""
    number: int = 0
    applied: bool = False


class ChampionLog:
    """The champion log of the registered model *model*. Its methods raise MLflow's errors."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.name = f"{model}-champions"

    def decisions(self, client: "MlflowClient") -> list[Decision]:
        """Return the valid decisions, in order."""
        found = client.search_model_versions(f"name = '{self.name}'")
        # A version without tags is void and is being deleted right now.
        return list(valid(_read(version) for version in found if version.tags))

    def propose(self, client: "MlflowClient", decision: Decision) -> Decision | None:
        """Record *decision*, and return it if it is valid.

        Return None if another one was based on the same decision before.
        """
        create_model(client, self.name, _NOTE)
        tags = {"champion": str(decision.champion), "follows": str(decision.follows)}
        if decision.previous is not None:
            tags["previous"] = str(decision.previous)
        if decision.rollback:
            tags["rollback"] = "true"
        if decision.request:
            tags["request"] = decision.request
        # This source can be loaded: ``models:/<model>-champions/n`` is the n-th champion.
        source = f"models:/{self.model}/{decision.champion}"
        number = int(client.create_model_version(self.name, source=source, tags=tags).version)
        made = next((made for made in self.decisions(client) if made.number == number), None)
        if made is None:
            client.delete_model_version(self.name, str(number))
        return made

    def mark_applied(self, client: "MlflowClient", decision: Decision) -> None:
        """Record that the aliases have been set as *decision* says."""
        set_version_tag(client, self.name, decision.number, "applied", "true")


def valid(decisions: Iterable[Decision]) -> Iterator[Decision]:
    """Yield the valid decisions: each is based on the valid one before it."""
    last = 0
    for decision in sorted(decisions, key=lambda decision: decision.number):
        if decision.follows == last:
            yield decision
            last = decision.number


def create_model(client: "MlflowClient", name: str, note: str | None = None) -> None:
    """Create the registered model *name*, unless it exists."""
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
