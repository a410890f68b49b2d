"""The configuration that a run was triggered with: Airflow checks what a DAG declares, and takes whatever else is in it without a word."""

import difflib
from collections.abc import Mapping
from typing import Any

from airflow.sdk.exceptions import AirflowFailException


def check_conf(context: Mapping[str, Any]) -> None:
    """Check that the run was triggered with parameters of its DAG alone.

    Raises:
        AirflowFailException: it was triggered with another one, most likely a slip. Trying again would not help.
    """
    known = sorted(context["dag"].params)
    dag = context["dag"].dag_id
    for key in sorted(set(context["dag_run"].conf or {}) - set(known)):
        close = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known)}." if known else "it has none."
        raise AirflowFailException(
            f"The DAG {dag!r} has no parameter {key!r}; {hint} Trigger it again without {key!r}."
        )
