"""Every process that our code starts: an argument from outside must not be read as an option."""

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PACKAGES = ("snap2caption", "etl", "training", "serving", "demo", "plugins", "dags", "benchmarks")

STARTED = {
    "snap2caption/images/isolation.py": "arguments by place, all of them ours but the photo's name, which is one of them",
    "etl/aria2.py": "options of ours; URLs go by RPC",
    "etl/urls/downloader.py": "a program of ours and JSON, by the interpreter that a setting names",
    "plugins/operators/command.py": "operands behind `--` (tests/unit/plugins/operators/test_command_line.py)",
    "demo/captioned.py": "the photo's path behind `--` (tests/unit/demo/test_captioned.py)",
    "demo/stack/service.py": "commands of ours",
    "demo/stack/supervisor.py": "commands of ours, as it was given them",
    "benchmarks/commands.py": "commands of ours",
    "benchmarks/training/own_voice.py": "commands of ours",
    "benchmarks/training/workload.py": "commands of ours",
    "benchmarks/etl/data_juicer.py": "a program of ours, by the interpreter that the caller names",
    "benchmarks/etl/grouping.py": "a program of ours, with numbers",
    "benchmarks/etl/load.py": "commands of ours",
    "benchmarks/feedback/scale.py": "commands of ours",
    "benchmarks/serving/peers/engines.py": "commands of ours",
    "benchmarks/serving/peers/machine.py": "commands of ours",
}
"""The modules that start processes, and why no argument there is taken for an option."""

_SIGNS = ("subprocess", "Popen", "os.exec", "os.spawn", "os.posix_spawn", "os.system", "os.popen", "shell=")
_STARTS = {"Popen", "run", "call", "check_call", "check_output", "getoutput", "getstatusoutput"}
_ANY = {"system", "popen", "create_subprocess_exec", "create_subprocess_shell", "posix_spawn", "posix_spawnp"}


def starts_a_process(call: ast.Call) -> bool:
    match call.func:
        case ast.Attribute(value=ast.Name(id="subprocess" | "psutil"), attr=name):
            return name in _STARTS
        case ast.Attribute(value=ast.Name(id="os" | "asyncio"), attr=name):
            return name in _ANY or name.startswith(("exec", "spawn"))
        case ast.Name(id=name):
            return name == "Popen"
    return False


def test_each_module_that_starts_processes_was_looked_at() -> None:
    found = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text()
            # Parsing all would take a quarter of a minute on a busy machine.
            if not any(sign in text for sign in _SIGNS):
                continue
            tree = ast.parse(text)
            assert not [node for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "shell"], (
                f"{path} uses a shell"
            )
            if any(starts_a_process(node) for node in ast.walk(tree) if isinstance(node, ast.Call)):
                found.add(str(path.relative_to(ROOT)))
    assert found == set(STARTED)
