"""Feedback DAG: from corrections that annotators confirmed to a retraining, once enough of them are new.

No task waits for people. Annotators take days, so each run processes what they have finished by then, and training
has a DAG of its own.
"""

from datetime import timedelta

from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable, Param, TriggerRule, dag

from plugins.assets import ANNOTATIONS
from plugins.defaults import APPROVAL, DEFAULT_ARGS, overrides
from plugins.operators.feedback import BuildOperator, RetrainOperator, StepOperator, ValidateOperator
from plugins.operators.label_studio import PullAnnotationsOperator

SHARES = {"flagged": 1.0, "edited": 1.0, "low_rated": 1.0, "low_confidence": 0.5, "random": 0.05}
"""Share of each kind of feedback that goes to annotators."""

PARAMS = {
    **{
        name: Param(
            share,
            type="number",
            minimum=0,
            maximum=1,
            title=f"Share of {name.replace('_', ' ')} feedback",
            description="Share of it that goes to annotators, from 0 to 1.",
        )
        for name, share in SHARES.items()
    },
    "seed": Param(0, type="integer", title="Seed", description="Seed of the random sample and of the split."),
    "at_least": Param(
        50,
        type="integer",
        minimum=1,
        title="New corrections",
        description="A retraining starts once this many corrections are new since the last one.",
    ),
    "erased": Param(
        1,
        type="integer",
        minimum=0,
        title="Erased corrections",
        description="A retraining also starts once this many corrections of the last one were erased. 0: never.",
    ),
    "dataset_uri": Param(
        "", type="string", title="Dataset URI", description="The corpus version to mix with. Empty means the newest."
    ),
    "config": Param(
        "feedback.yaml", type="string", title="Recipe", description="A file of configs/, with data.feedback."
    ),
    "overrides": overrides("data.feedback.share=0.3"),
    "approval": APPROVAL,
}

SHORT = timedelta(minutes=30)


@dag(
    schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable("0 3 * * *", timezone="UTC"), assets=[ANNOTATIONS]),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    params=PARAMS,
    render_template_as_native_obj=True,
    tags=["snap2caption", "data", "model"],
    doc_md=__doc__,
)
def feedback() -> None:
    options = {name: f"{{{{ params.{name} }}}}" for name in (*SHARES, "seed")}
    # What creators erased is withdrawn, even if the other tasks fail.
    StepOperator(task_id="withdraw", step="feedback withdraw", execution_timeout=SHORT)
    collect = StepOperator(task_id="collect", step="feedback collect", execution_timeout=SHORT)
    sample = StepOperator(task_id="sample", step="feedback sample", options=options, execution_timeout=SHORT)
    push = StepOperator(task_id="push", step="feedback push", execution_timeout=SHORT)
    pull = PullAnnotationsOperator(task_id="pull", execution_timeout=SHORT)
    validate = ValidateOperator(
        task_id="validate", at_least="{{ params.at_least }}", erased="{{ params.erased }}", execution_timeout=SHORT
    )
    build = BuildOperator(
        task_id="build",
        dataset_uri="{{ params.dataset_uri }}",
        seed="{{ params.seed }}",
        execution_timeout=timedelta(hours=3),
    )
    retrain = RetrainOperator(
        task_id="retrain",
        built=build.output,
        config="{{ params.config }}",
        overrides="{{ params.overrides }}",
        approval="{{ params.approval }}",
        execution_timeout=SHORT,
    )
    # The retraining is skipped if an earlier try of this run started it before it was killed.
    note = StepOperator(
        task_id="note",
        step="feedback retrained",
        operands=["{{ ti.xcom_pull(task_ids='build')['uri'] }}"],
        trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
        execution_timeout=SHORT,
    )
    collect >> sample >> push >> pull >> validate >> build
    [build, retrain] >> note


feedback()
