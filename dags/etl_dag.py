"""ETL DAG: from the corpus zip to a dataset version in the object store."""

from datetime import timedelta

from airflow.sdk import Param, TaskGroup, TriggerRule, dag

from plugins.defaults import DEFAULT_ARGS
from plugins.operators.etl import WORK, ExtractOperator, LoadOperator, MergeOperator, PlanOperator, SliceOperator

PARAMS = {
    "urls": Param(
        [],
        type="array",
        items={"type": "string", "format": "uri"},
        minItems=1,
        title="URLs",
        description="Mirrors of the corpus zip, one per line. Airflow stores them: put logins into ~/.netrc.",
    ),
    "sha256": Param(
        "",
        type="string",
        pattern="^([0-9a-fA-F]{64})?$",
        title="SHA-256",
        description="The zip's digest. Leave empty to skip the check.",
    ),
    "size": Param(
        0, type="integer", minimum=0, title="Size", description="The zip's size in bytes. 0 skips the check."
    ),
    "cities": Param(
        [],
        type="array",
        items={"type": "string"},
        title="Cities",
        description="Cities to keep, or all. Empty means newyork, chicago and sanfrancisco, if the zip has them.",
    ),
    "seed": Param(0, type="integer", title="Seed", description="Seed of the split into train, validation and test."),
    "slice_pairs": Param(
        25_000,
        type="integer",
        minimum=1,
        title="Pairs per slice",
        description="The transform runs one task per slice. The dataset version does not depend on this number.",
    ),
    "keep_metadata": Param(
        False,
        type="boolean",
        title="Keep metadata",
        description="Keep EXIF (with GPS positions), XMP and comments in photos. They may reveal where people live.",
    ),
    "curation": Param(
        "",
        type="string",
        title="Curation",
        description="Content filters: a file of configs/curation/, such as instagram.yaml. Empty applies none.",
    ),
    "datasets_uri": Param(
        "",
        type="string",
        title="Datasets URI",
        description="Where to load to (file://, s3://, swift://). Empty means the configured place.",
    ),
}


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    params=PARAMS,
    render_template_as_native_obj=True,
    tags=["snap2caption", "data"],
    doc_md=__doc__,
)
def etl() -> None:
    extract = ExtractOperator(
        task_id="extract",
        sha256="{{ params.sha256 }}",
        size="{{ params.size }}",
        execution_timeout=timedelta(hours=12),
    )
    with TaskGroup("transform"):
        plan = PlanOperator(
            task_id="plan",
            corpus=extract.output,
            cities="{{ params.cities }}",
            seed="{{ params.seed }}",
            slice_pairs="{{ params.slice_pairs }}",
            keep_metadata="{{ params.keep_metadata }}",
            curation="{{ params.curation }}",
            execution_timeout=timedelta(hours=1),
        )
        work = plan.output[WORK]
        slices = SliceOperator.partial(task_id="slice", work=work, execution_timeout=timedelta(hours=1)).expand(
            number=plan.output
        )
        # Slices are skipped if the version exists already.
        merge = MergeOperator(
            task_id="merge",
            work=work,
            trigger_rule=TriggerRule.NONE_FAILED,
            execution_timeout=timedelta(hours=3),
        )
        slices >> merge
    LoadOperator(
        task_id="load", dataset=merge.output, uri="{{ params.datasets_uri }}", execution_timeout=timedelta(hours=6)
    )


etl()
