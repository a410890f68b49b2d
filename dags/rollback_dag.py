"""The previous champion back into service."""

from datetime import timedelta

from airflow.sdk import dag

from plugins.operators.training import RollbackOperator

DEFAULTS = {"retries": 1, "retry_delay": timedelta(seconds=5)}


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=["snap2caption", "model"],
    doc_md=__doc__,
)
def rollback() -> None:
    RollbackOperator(task_id="rollback", execution_timeout=timedelta(minutes=10))


rollback()
