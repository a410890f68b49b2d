"""What operators run: nothing that a trigger form or another task says becomes an option that the operator did not
give.
"""

import importlib
import json
import pkgutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
import typer.main

import plugins.operators
from plugins.assets import DATASET
from plugins.operators.command import CommandOperator, command_line
from plugins.operators.etl import ExtractOperator, LoadOperator, MergeOperator, PlanOperator, SliceOperator
from plugins.operators.feedback import BuildOperator, StepOperator, ValidateOperator
from plugins.operators.label_studio import PullAnnotationsOperator
from plugins.operators.training import GateOperator, PromoteOperator, RollbackOperator, TrainOperator
from snap2caption.__main__ import build_app
from snap2caption.registry.verdict import GateVerdict, RuleResult

pytestmark = pytest.mark.unit

EVIL = "--out=/tmp/evil"

RECORDER = """#!{python}
import json, pathlib, sys
pathlib.Path({file!r}).write_text(json.dumps(sys.argv[1:]))
results = {{"path": "", "work": "", "slices": 0, "dataset": "", "uri": "", "run_id": "run", "refused": {{}}, "new": 9, "erased": 0, "usable": 9}}
print(json.dumps(results | {{"dataset_version": "version", "incumbent": "", "rules": [{rule}]}}))
"""
"""An interpreter that notes its arguments, and answers what any command might."""

RULE = RuleResult(name="loss", passed=True, candidate=1, incumbent=2, reason="It is lower.")

VERDICT = GateVerdict(run_id="run", dataset_version="version", incumbent="", rules=(RULE,)).model_dump()

OPERATORS: dict[type[CommandOperator], dict[str, Any]] = {
    ExtractOperator: {"sha256": EVIL, "size": 0},
    PlanOperator: {"corpus": EVIL, "cities": [EVIL], "seed": 0, "slice_pairs": 5, "keep_metadata": False},
    SliceOperator: {"work": EVIL, "number": 0},
    MergeOperator: {"work": EVIL},
    LoadOperator: {"dataset": EVIL, "uri": EVIL},
    StepOperator: {"step": "feedback retrained", "operands": [EVIL]},
    BuildOperator: {"dataset_uri": EVIL, "seed": 0},
    ValidateOperator: {"at_least": 1, "erased": 1},
    PullAnnotationsOperator: {},
    TrainOperator: {"config": "demo.yaml", "overrides": [EVIL, "--force"], "dataset_uri": EVIL},
    GateOperator: {"run_id": EVIL},
    PromoteOperator: {"verdict": VERDICT},
    RollbackOperator: {},
}
"""Each operator with what is evil wherever a string may come from outside."""


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file in which the arguments of what is run are noted, instead of running it."""
    interpreter, file = tmp_path / "python", tmp_path / "arguments.json"
    interpreter.write_text(RECORDER.format(python=sys.executable, file=str(file), rule=RULE.model_dump()))
    interpreter.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    return file


def parsed(arguments: list[str]) -> dict[str, Any]:
    """Return what our command line makes of *arguments*."""
    assert arguments[:2] == ["-m", "snap2caption"]
    command: click.Command = typer.main.get_command(build_app())  # type: ignore[assignment]
    name, rest, context = "snap2caption", arguments[2:], None
    while True:
        context = command.make_context(name, rest, parent=context)
        if not hasattr(command, "commands"):
            return context.params
        found, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])  # type: ignore[attr-defined]
        name = str(found)


@pytest.mark.parametrize("kind", OPERATORS)
def test_what_comes_from_outside_is_an_operand_or_a_value(kind: type[CommandOperator], recorded: Path) -> None:
    operator = kind(task_id="task", **OPERATORS[kind])
    operator.execute(
        {
            "params": {"urls": [EVIL, "https://user:secret@example.com/corpus.zip"]},
            "outlet_events": {DATASET: SimpleNamespace()},
            "ti": SimpleNamespace(xcom_push=lambda **_: None),
            "dag_run": SimpleNamespace(dag_id="rollback", run_id=EVIL),
        }
    )
    arguments = json.loads(recorded.read_text())
    options = arguments[: arguments.index("--")]
    assert EVIL not in options
    found = parsed(arguments)
    assert found["as_json"]
    assert "evil" not in str(found.get("out"))
    assert not found.get("force")
    told = json.dumps(found, default=str)
    assert told.count(EVIL) >= json.dumps(OPERATORS[kind]).count(EVIL)


def test_every_operator_that_runs_commands_was_tried() -> None:
    for module in pkgutil.iter_modules(plugins.operators.__path__, "plugins.operators."):
        importlib.import_module(module.name)
    assert set(OPERATORS) == set(CommandOperator.__subclasses__())


def test_options_are_given_as_they_are_meant() -> None:
    options = {
        "slice_pairs": 5,
        "share": 0.0,
        "keep": True,
        "drop": False,
        "none": None,
        "empty": "",
        "url": ["a", "b"],
    }
    line = command_line("feedback build", ["x", 3], options)  # type: ignore[list-item]
    assert line[3:] == [
        *(
            "feedback",
            "build",
            "--json",
            "--slice-pairs=5",
            "--share=0.0",
            "--keep",
            "--url=a",
            "--url=b",
            "--",
            "x",
            "3",
        ),
    ]
