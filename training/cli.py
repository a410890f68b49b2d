"""Command line for training: train, evaluate, score, gate, promote, rollback."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from snap2caption.command_line.console import print_result, stderr
from snap2caption.errors import UserError
from snap2caption.formats.strict_json import to_document
from snap2caption.settings import Settings
from training.recipes.loading import change_judging, load_recipe
from training.recipes.lookup import locate_recipe
from training.recipes.recipe import EvaluationRecipe
from training.recipes.sections import EvaluationSettings, Precision

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RunId = Annotated[
    str, typer.Argument(metavar="RUN_ID", help="An MLflow run id, or an alias or version in the registry.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    for command in (train, evaluate, score, gate, promote, rollback):
        app.command()(command)


def train(
    config: Annotated[
        str,
        typer.Option(metavar="RECIPE", help="The recipe: a file, or the name of a shipped recipe, such as demo."),
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Settings to override, such as data.uri=URI.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and show what would be done.")] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Train again. Without it, a finished run with the same settings is returned."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a model, evaluate it and log it to MLflow; prints the run id."""
    settings = Settings()
    recipe = load_recipe(locate_recipe(config, settings.configs_dir), overrides or [])
    if dry_run:
        from training.planning.dry_run import make_plan

        plan = make_plan(recipe, settings)
        document = {"recipe": to_document(recipe), **to_document(plan)}
        print_result(f"{recipe.dump()}\n{plan.describe()}", document, as_json=as_json)
        return
    from training.launch.launcher import launch

    run_id = launch(recipe, settings, force=force)
    print_result(run_id, {"run_id": run_id, "report": _report_page(run_id, settings)}, as_json=as_json)


def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A run id, an alias, a version, or base:NAME.")],
    dataset_uri: Annotated[str, typer.Argument(metavar="DATASET_URI", help="URI of a dataset version.")],
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    batch_size: Annotated[int, typer.Option(min=1, help="Photos per batch.")] = 16,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest caption, in tokens.")] = 96,
    max_samples: Annotated[int | None, typer.Option(min=1, help="Use at most this many photos.")] = None,
    precision: Annotated[
        Precision | None,
        typer.Option(help="Precision to load the model in; by default the run's, or float32 for a base model."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Also write an HTML report with scores and sample captions.")
    ] = None,
) -> None:
    """Caption a split's photos with a model and score the captions; prints JSON."""
    wanted = {"split": split, "batch_size": batch_size, "max_new_tokens": max_new_tokens, "max_samples": max_samples}
    if split not in ("train", "validation", "test"):
        raise typer.BadParameter("give train, validation or test", param_hint="--split")
    from training.gate.runner import evaluate_model

    evaluation = evaluate_model(
        model, dataset_uri, EvaluationSettings.model_validate(wanted), Settings(), precision=precision, report=report
    )
    _print_model(evaluation)


def score(
    hypotheses: Annotated[Path, typer.Argument(metavar="HYPOTHESES.jsonl", help='Rows {"id", "caption"}.')],
    references: Annotated[Path, typer.Argument(metavar="REFERENCES.jsonl", help='Rows {"id", "captions": […]}.')],
) -> None:
    """Score captions against references: BLEU, ROUGE-L, CIDEr-D, hashtags, format, tone; prints JSON."""
    from training.evaluation.score import score_files

    _print_model(score_files(hypotheses, references))


def gate(
    run_id: RunId,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE", help="Settings of gate or evaluation to override, such as gate.margin=0.02."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare a run's model with the champion; it becomes the challenger if it is admitted, else exit status is 1."""
    try:
        change_judging(EvaluationRecipe(), overrides or [])
    except UserError as error:
        stderr.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        # Status 1 means that the gate refused the model.
        raise typer.Exit(2) from error
    from training.gate.runner import gate_run

    settings = Settings()
    verdict = gate_run(run_id, settings, overrides or [])
    decision = "admitted" if verdict.admitted else "refused"
    document = to_document(verdict) | {"report": _report_page(verdict.run_id, settings)}
    print_result("\n".join([verdict.table(), *verdict.notes, decision]), document, as_json=as_json)
    if not verdict.admitted:
        for reason in verdict.refusals:
            stderr.print(f"refused: {reason}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1)


def promote(
    run_id: RunId,
    force: Annotated[bool, typer.Option("--force", help="Promote even a model that the gate refused.")] = False,
    as_json: AsJson = False,
) -> None:
    """Register a run's model and make it the champion."""
    from training.gate import promotion

    version = promotion.promote(run_id, Settings(), force=force)
    document = {"version": version.version, "run_id": version.run_id}
    print_result(f"champion: version {version.version} (run {version.run_id})", document, as_json=as_json)


def rollback(
    request: Annotated[
        str, typer.Option(help="Idempotency key: repeated requests with the same key roll back only once.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Make the previous champion the champion again."""
    from training.gate import promotion

    version = promotion.rollback(Settings(), request)
    document = {"version": version.version, "run_id": version.run_id}
    print_result(f"champion: version {version.version} (run {version.run_id})", document, as_json=as_json)


def _report_page(run_id: str, settings: Settings) -> str:
    """Return the URL of the run's evaluation report, and print it to standard error."""
    from training.evaluation.report import REPORT
    from training.tracking.runs import artifact_page, connect

    page = artifact_page(connect(settings.mlflow_tracking_uri), run_id, REPORT)
    stderr.print(f"report: {page}", markup=False, highlight=False, soft_wrap=True)
    return page


def _print_model(model: BaseModel) -> None:
    print_result("", to_document(model), as_json=True)
