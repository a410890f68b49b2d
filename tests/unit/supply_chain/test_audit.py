"""Vulnerability audit with the real pip-audit, against a server that speaks OSV's protocol."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from web_server import listening

from supply_chain import npm
from supply_chain.audit import OURS, SERVERS, AuditError, audit, audit_npm

pytestmark = pytest.mark.unit

PIP_AUDIT = Path(sys.prefix) / "audit" / "bin" / "pip-audit"
SOUND = 2 + len(SERVERS)
"""How many sound packages there are: one for our locks, which share an environment, one for each server, one of npm."""
HOLE = {
    "id": "PYSEC-2026-1",
    "details": "A hole.",
    "affected": [
        {
            "package": {"name": "holey", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.2"}]}],
            "versions": ["1.1"],
        }
    ],
}

HOLES = {
    "PyPI": HOLE,
    "npm": {
        "id": "GHSA-1",
        "affected": [
            {
                "package": {"name": name, "ecosystem": "npm"},
                "ranges": [{"events": [{"introduced": "0"}, {"fixed": fixed}]}],
            }
            for name, fixed in (("of-the-same-author", "9.9"), ("holey", "1.3"))
        ],
    },
}


async def query(request: Request) -> Response:
    asked = await request.json()
    if asked["package"]["name"] == "broken":
        return Response(status_code=500)
    hole = HOLES[asked["package"].get("ecosystem", "PyPI")]
    return JSONResponse({"vulns": [hole]} if (asked["package"]["name"], asked["version"]) == ("holey", "1.1") else {})


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with listening(Starlette(routes=[Route("/v1/query", query, methods=["POST"])])) as url:
        yield f"{url}v1/query"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose locks have one package each: the same in all of Python's, and another in npm's."""
    (tmp_path / "locks").mkdir()
    for name in (*OURS, *SERVERS):
        lock(tmp_path, name, "sound==2.0")
    lock_npm(tmp_path, "@page/sound")
    return tmp_path


def lock(project: Path, name: str, requirement: str) -> None:
    (project / "locks" / name).write_text(f"{requirement} --hash=sha256:{'0' * 64}\n")


def lock_npm(project: Path, name: str) -> None:
    (project / "frontend").mkdir(exist_ok=True)
    packages = {"": {"name": "the page"}, f"node_modules/{name}": {"version": "1.1"}}
    (project / "frontend" / "package-lock.json").write_text(json.dumps({"packages": packages}))


@pytest.mark.parametrize("name", ["dev.txt", "torch-cuda.txt", "label-studio.txt"])
def test_a_vulnerability_in_any_lock_is_told_with_its_remedy(project: Path, database: str, name: str) -> None:
    lock(project, name, "holey==1.1")
    count, (finding,) = audit(project, PIP_AUDIT, database)
    assert count == (SOUND if name in SERVERS else SOUND + 1)
    assert str(finding) == "holey 1.1 has PYSEC-2026-1: take 1.2."


def test_sound_packages_are_told_as_such(project: Path, database: str) -> None:
    assert audit(project, PIP_AUDIT, database) == (SOUND, [])


@pytest.mark.parametrize("trouble", ["away", "broken"])
def test_a_database_without_an_answer_is_no_clean_bill(project: Path, database: str, trouble: str) -> None:
    lock(project, "dev.txt", f"{trouble}==1.0")
    with pytest.raises(AuditError, match="could not be asked, so nothing is known"):
        audit(project, PIP_AUDIT, "http://127.0.0.1:9/v1/query" if trouble == "away" else database)


def test_npms_packages_are_audited_as_such(project: Path, database: str) -> None:
    lock_npm(project, "holey")
    _, (finding,) = audit(project, PIP_AUDIT, database)
    assert str(finding) == "holey 1.1 has GHSA-1: take 1.3."


@pytest.mark.parametrize("trouble", ["away", "broken"])
def test_without_an_answer_npms_packages_are_not_audited(project: Path, database: str, trouble: str) -> None:
    lock_npm(project, "broken")
    with pytest.raises(AuditError, match="could not be asked, so nothing is known of npm's packages"):
        audit_npm(npm.locked(project), "http://127.0.0.1:9/v1/query" if trouble == "away" else database)
