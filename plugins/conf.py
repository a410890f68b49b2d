"""The configuration that a run was triggered with: Airflow checks what a DAG declares, and takes whatever else is in it without a word.

Of a recipe it may change how a model learns and is judged. Where a training runs, what it reports to and what it starts from is said by the recipe,
a file of the installation's: processes on a Ray cluster get the worker's credentials, so whoever names the cluster would have them.
"""

import difflib
from collections.abc import Mapping
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

OVERRIDABLE = (
    "optimizer",
    "evaluation",
    "gate",
    "model.lora",
    "model.load_in_4bit",
    "model.split_images",
    "data.cities",
    "data.samples_per_city",
    "data.stream",
    "data.max_post_tokens",
    "data.max_validation_samples",
    # A version's place in the configured store, as the form's own dataset URI is one. A store's URI names no host.
    "data.feedback.uri",
    "data.feedback.share",
)
"""Sections and settings of a recipe that a run's ``overrides`` may change."""


def check_conf(context: Mapping[str, Any]) -> None:
    """Check that the run was triggered with parameters of its DAG alone, and with no override but of `OVERRIDABLE` settings.

    Raises:
        AirflowFailException: it was triggered with another one. Trying again would not help.
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
    if not any(setting == known or setting.startswith(f"{known}.") for known in OVERRIDABLE):
        raise AirflowFailException(
            f"A run may not override {setting!r}, but {', '.join(OVERRIDABLE)}; put anything else into a recipe in configs/, and name that."
        )
