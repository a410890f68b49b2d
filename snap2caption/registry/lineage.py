"""Lineage: the dataset versions that models learned from, by MLflow's models and runs."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from snap2caption.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient

WAITS_DAYS = 7
"""For so long after its end, a run counts as waiting for the gate, which needs the data that it learned from."""

INHERITED = "inherited_versions"
"""The tag of a run and its registered version with what its initial adapter learned from: dataset versions, with commas
between them.
"""

_TAGS = ("dataset_version", "feedback_version")


def find_lineage(client: "MlflowClient", model: str) -> dict[str, tuple[str, ...]]:
    """Return each dataset version that a model learned from, with the names of these models and runs.

    Models are all versions of all registered models. Runs are those that have not ended, or ended less than
    `WAITS_DAYS` ago.

    Args:
        client: the client of the server.
        model: the registered model whose versions are all ours.

    Raises:
        UserError: a version of *model* does not tell what it learned from.
    """
    users: defaultdict[str, list[str]] = defaultdict(list)
    for version in _pages(lambda token: client.search_model_versions(page_token=token)):
        used = learned_from(version.tags) or learned_from(
            client.get_run(version.run_id).data.tags if version.run_id else {}
        )
        if not used and version.name == model:
            raise UserError(
                f"Version {version.version} of {model} does not tell which dataset it learned from, so nothing is safe "
                "to remove; set its tag dataset_version in MLflow, or delete that version of the model."
            )
        for one in used:
            users[one].append(f"{version.name} version {version.version}")
    for run in _recent_runs(client):
        for one in learned_from(run.data.tags):
            users[one].append(f"run {run.info.run_id}")
    return {version: tuple(sorted(names)) for version, names in users.items()}


def learned_from(tags: Mapping[str, str]) -> tuple[str, ...]:
    """Return the dataset versions that the model of a run or version with *tags* learned from, each once.

    Those of its initial adapter come last.
    """
    own = (tags[name] for name in _TAGS if tags.get(name))
    return tuple(dict.fromkeys((*own, *filter(None, tags.get(INHERITED, "").split(",")))))


def _recent_runs(client: "MlflowClient") -> Iterator[Any]:
    since = int((time.time() - WAITS_DAYS * 86400) * 1000)
    ids = [found.experiment_id for found in _pages(lambda token: client.search_experiments(page_token=token))]
    for wanted in ("status = 'RUNNING'", "status = 'SCHEDULED'", f"end_time > {since}"):
        yield from _pages(partial(_search_runs, client, ids, f"attributes.{wanted}"))


def _search_runs(client: "MlflowClient", ids: list[str], wanted: str, token: str | None) -> Any:
    return client.search_runs(ids, wanted, page_token=token)


def _pages(ask: Callable[[str | None], Any]) -> Iterator[Any]:
    token: str | None = None
    while True:
        page = ask(token)
        yield from page
        if not (token := page.token):
            return
