"""Vulnerability audit of all locked packages, by an advisory database: Python's through pip-audit, and npm's."""

import json
import subprocess
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from supply_chain import lock, npm
from supply_chain.lock import LOCKS, STACK, TOOLS, TORCH_BUILDS
from supply_chain.requirements import Pin, read

SERVERS = tuple(server.lock for server in lock.SERVERS)
OURS = (*(lock.name for lock in LOCKS), *(f"{name}.txt" for name in (*TOOLS, *STACK)), *TORCH_BUILDS)


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
    packages = npm.locked(root)
    return count + len(packages), findings + audit_npm(packages, database)


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


def audit_npm(packages: Iterable[tuple[str, str]], database: str) -> list[Finding]:
    """Return the findings of the OSV *database* at that URL for npm packages, given as names and versions.

    Source: OSV's API, `POST /v1/query`.

    Raises:
        AuditError: the result for a package is missing.
    """
    with httpx.Client(timeout=30) as client, ThreadPoolExecutor(8) as pool:

        def ask(package: tuple[str, str]) -> list[Finding]:
            name, version = package
            query = {"package": {"name": name, "ecosystem": "npm"}, "version": version}
            answer = client.post(database, json=query).raise_for_status().json()
            return [Finding(name, version, each["id"], _fixed(each, name)) for each in answer.get("vulns", ())]

        try:
            return [finding for findings in pool.map(ask, sorted(packages)) for finding in findings]
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise AuditError(
                f"{database} could not be asked, so nothing is known of npm's packages: {error}"
            ) from error


def _fixed(vulnerability: dict[str, Any], name: str) -> tuple[str, ...]:
    """Return the releases of the package *name* without the vulnerability."""
    events = (
        event
        for affected in vulnerability.get("affected", ())
        if affected["package"]["name"] == name
        for versions in affected.get("ranges", ())
        for event in versions["events"]
    )
    return tuple(event["fixed"] for event in events if "fixed" in event)
