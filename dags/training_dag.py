"""Training DAG: fine-tunes on a dataset version, and promotes the model if it passes the gate."""

from datetime import timedelta

from airflow.sdk import Param, dag

from plugins.assets import DATASET
from plugins.defaults import APPROVAL, DEFAULT_ARGS, overrides
from plugins.operators.approval import PromotionApproval
from plugins.operators.training import GateOperator, PromoteOperator, TrainOperator

PARAMS = {
    "config": Param("demo.yaml", type="string", title="Recipe", description="A file of configs/."),
    "overrides": overrides("training.num_train_epochs=2"),
    "dataset_uri": Param(
        "",
        type="string",
        title="Dataset URI",
        description="A dataset version. Empty means the one whose event started the run.",
    ),
    "approval": APPROVAL,
}


@dag(
    schedule=[DATASET],
    catchup=False,
    default_args=DEFAULT_ARGS,
    params=PARAMS,
    render_template_as_native_obj=True,
    tags=["snap2caption", "model"],
    doc_md=__doc__,
)
def training() -> None:
    train = TrainOperator(
        task_id="train",
        config="{{ params.config }}",
        overrides="{{ params.overrides }}",
        dataset_uri="{{ params.dataset_uri }}",
        execution_timeout=timedelta(days=3),
        # One training at a time. A run that waits for approval does not block the next one.
        max_active_tis_per_dag=1,
    )
    gate = GateOperator(
        task_id="gate",
        run_id=train.output,
        overrides="{{ params.overrides }}",
        execution_timeout=timedelta(hours=6),
        max_active_tis_per_dag=1,
    )
    approve = PromotionApproval(
        task_id="approve",
        asked="{{ params.approval }}",
        verdict=gate.output,
        patience=timedelta(days=7),
        execution_timeout=timedelta(minutes=10),
    )
    promote = PromoteOperator(task_id="promote", verdict=gate.output, execution_timeout=timedelta(minutes=10))
    approve >> promote


training()
