"""Vulnerability audit of all locked packages, by pip-audit and an advisory database."""

import json
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from supply_chain import lock
from supply_chain.lock import LOCKS, TOOLS, TORCH_BUILDS
from supply_chain.requirements import Pin, read

SERVERS = tuple(server.lock for server in lock.SERVERS)
OURS = (*(lock.name for lock in LOCKS), *(f"{name}.txt" for name in TOOLS), *TORCH_BUILDS)


class AuditError(RuntimeError):
    """The audit is incomplete, because the database could not be queried for all packages. The message says why."""


@dataclass(frozen=True)
class Finding:
    """One vulnerability of one locked package. ``fixed`` lists the releases without it."""

    package: str
    version: str
    vulnerability: str
    fixed: tuple[str, ...]

    def __str__(self) -> str:
        remedy = f"take {' or '.join(self.fixed)}" if self.fixed else "no release is without it yet"
        return f"{self.package} {self.version} has {self.vulnerability}: {remedy}."


def audit(root: Path, pip_audit: Path, database: str) -> tuple[int, list[Finding]]:
    """Return the number of audited packages of the locks at *root*, and the findings of the OSV *database* at that URL.

    Raises:
        AuditError: the result for a package is missing. A partial audit does not count.
    """
    count, findings = 0, []
    for names in (OURS, *((name,) for name in SERVERS)):  # each may have a version of its own
        pins = {pin.name: pin for name in names for pin in read(root / "locks" / name).values()}
        count += len(pins)
        findings += _ask(pins.values(), pip_audit, database)
    return count, findings


def _ask(pins: Iterable[Pin], pip_audit: Path, database: str) -> list[Finding]:
    wanted = {pin.name: f"{pin.name}=={pin.version}\n" for pin in pins}
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(wanted.values())
        file.flush()
        options = [
            "--disable-pip",
            "--no-deps",
            "--format=json",
            "--progress-spinner=off",
            "--vulnerability-service=osv",
        ]
        command = [str(pip_audit), *options, f"--osv-url={database}", f"--requirement={file.name}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        answered = {each["name"]: each for each in json.loads(done.stdout)["dependencies"]}
    except (ValueError, KeyError) as error:
        reason = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        raise AuditError(
            f"{database} could not be asked, so nothing is known of {len(wanted)} packages: {reason}"
        ) from error
    unknown = sorted(name for name in wanted if "vulns" not in answered.get(name, {}))
    if unknown:
        raise AuditError(f"{database} has no answer for {', '.join(unknown)}, so the audit is none; try again.")
    return [
        Finding(each["name"], each["version"], found["id"], tuple(found["fix_versions"]))
        for each in answered.values()
        for found in each["vulns"]
    ]  # fmt: skip
