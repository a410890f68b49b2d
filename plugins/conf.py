"""Validation of a run's ``conf``. Airflow checks the parameters that a DAG declares, and silently accepts all others.

A run may override how a model learns and how it is judged. It may not override where training runs, what it reports to
and what it starts from: those belong to the recipe, a file of the installation. Processes on a Ray cluster get the
worker's credentials, so anyone who could name the cluster could read them.
"""

import difflib
from collections.abc import Mapping
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from training.recipes.renamed import present_name

OVERRIDABLE = (
    "training",
    "evaluation",
    "gate",
    "model.lora",
    "model.load_in_4bit",
    "model.do_image_splitting",
    "data.cities",
    "data.samples_per_city",
    "data.stream",
    "data.max_post_tokens",
    "data.max_validation_samples",
    # The URI of a version in the configured store, like the form's own dataset URI. A store's URI names no host.
    "data.feedback.uri",
    "data.feedback.share",
)
"""Sections and settings of a recipe that a run's ``overrides`` may change."""


def check_conf(context: Mapping[str, Any]) -> None:
    """Check that the run's ``conf`` has only parameters of its DAG, and overrides only `OVERRIDABLE` settings.

    Raises:
        AirflowFailException: it has an unknown parameter or a forbidden override. A retry would not help.
    """
    known = sorted(context["dag"].params)
    dag = context["dag"].dag_id
    conf = context["dag_run"].conf or {}
    for key in sorted(set(conf) - set(known)):
        close = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known)}." if known else "it has none."
        raise AirflowFailException(
            f"The DAG {dag!r} has no parameter {key!r}; {hint} Trigger it again without {key!r}."
        )
    for override in conf.get("overrides") or ():
        _check_override(str(override))


def _check_override(override: str) -> None:
    setting = override.partition("=")[0].strip()
    if (present := present_name(setting)) is not None:
        raise AirflowFailException(
            f"The setting {setting!r} is called {present!r} now; trigger the run again with that."
        )
    if not any(setting == known or setting.startswith(f"{known}.") for known in OVERRIDABLE):
        raise AirflowFailException(
            f"A run may not override {setting!r}; it may override {', '.join(OVERRIDABLE)}. "
            "Put anything else into a recipe in configs/, and name that recipe."
        )
