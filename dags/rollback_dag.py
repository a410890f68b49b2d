"""Rollback DAG: puts the previous champion back into service."""

from datetime import timedelta

from airflow.sdk import dag

from plugins.defaults import DEFAULT_ARGS
from plugins.operators.training import RollbackOperator


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS | {"retries": 1},
    tags=["snap2caption", "model"],
    doc_md=__doc__,
)
def rollback() -> None:
    RollbackOperator(task_id="rollback", execution_timeout=timedelta(minutes=10))


rollback()
