"""GitHub's workflows: what they run is in the Makefile, what they use is pinned, and what they may is little."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from snap2caption.settings import ROOT

pytestmark = pytest.mark.unit

PATHS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORKFLOWS: dict[str, dict[str, Any]] = {path.name: yaml.safe_load(path.read_text()) for path in PATHS}
JOBS = {f"{file}: {name}": job for file, workflow in WORKFLOWS.items() for name, job in workflow["jobs"].items()}
MAKEFILE = (ROOT / "Makefile").read_text()


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, job in JOBS.items():
        for step in job["steps"]:
            yield name, step


def test_each_command_is_a_target_that_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    run = [(name, step["run"]) for name, step in steps() if "run" in step]
    assert len(run) > 20
    for name, command in run:
        found = re.fullmatch(r"(?:sudo )?make((?: [a-z-]+)+)((?: [A-Z]+=(?:\"[^\"]*\"|\w+))*)", command)
        assert found, f"{name}: {command}"
        assert set(found[1].split()) <= targets, f"{name}: {command}"
        for variable in re.findall(r"([A-Z]+)=", found[2]):
            assert f"$({variable})" in MAKEFILE.replace("$(foreach part,$(FOR)", "$(FOR)"), f"{name}: {command}"


def test_variables_reach_the_targets() -> None:
    for name, job in JOBS.items():
        environment = WORKFLOWS[name.partition(":")[0]].get("env", {})
        for step in job["steps"]:
            for variable in {**environment, **step.get("env", {})}:
                assert variable == "GH_TOKEN" or f"$({variable})" in MAKEFILE, f"{name}: {variable}"


def test_actions_are_pinned_by_commit() -> None:
    lines = [
        line.partition("uses:")[2].strip()
        for path in PATHS
        for line in path.read_text().splitlines()
        if "uses:" in line
    ]
    assert len(lines) > 20
    for line in lines:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line
    # One version of each.
    pins = {}
    for line in lines:
        action, _, pin = line.partition("@")
        assert pins.setdefault("/".join(action.split("/")[:2]), pin) == pin


def test_jobs_may_little_and_end() -> None:
    for workflow in WORKFLOWS.values():
        assert workflow["permissions"] == {}
        assert "concurrency" in workflow
    for name, job in JOBS.items():
        assert job["timeout-minutes"] <= 90, name
        written = {what for what, level in job["permissions"].items() if level == "write"}
        assert not written or name.startswith(("release.yml", "codeql.yml")), name
    assert [
        name for name, step in steps() if "checkout" in step.get("uses", "") and step["with"]["persist-credentials"]
    ] == []
    # Nobody's text becomes part of a command.
    assert [name for name, step in steps() if "${{" in step.get("run", "")] == []


def test_a_release_takes_nothing_from_a_cache() -> None:
    release = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    assert "actions/cache" not in release
    assert "cache:" not in release


def test_shards_are_all_the_tests_once() -> None:
    shards = WORKFLOWS["ci.yml"]["jobs"]["tests"]["strategy"]["matrix"]["tests"]
    files = {path.relative_to(ROOT) for path in (ROOT / "tests").rglob("test_*.py")}
    seen: list[Any] = []
    for shard in shards:
        words = shard.split()
        ignored = [word.partition("=")[2] for word in words if word.startswith("--ignore=")]
        chosen = [word for word in words if not word.startswith("--")]
        assert all((ROOT / word).is_dir() for word in (*chosen, *ignored))
        seen += [
            file
            for file in files
            if any(file.is_relative_to(word) for word in chosen)
            and not any(file.is_relative_to(word) for word in ignored)
        ]
    assert sorted(seen) == sorted(files)


def test_every_image_of_ours_is_released() -> None:
    released = WORKFLOWS["release.yml"]["jobs"]["image"]["strategy"]["matrix"]["image"]
    (cluster,) = re.findall(r"^image-kubernetes:.*\n\t@\$\(BUILD_IMAGES\) (.+)", MAKEFILE, re.MULTILINE)
    (stack,) = re.findall(r"^STACK := (.+)", MAKEFILE, re.MULTILINE)
    assert set(released) == {*stack.split(), "training", *cluster.split()}
    pushed = re.search(r"for image in (.+); do", (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8"))
    assert pushed is not None
    assert pushed[1].split() == cluster.split()
