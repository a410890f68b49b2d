"""Schemathesis over the whole OpenAPI document: the service does what it says, and refuses everything else as it says.

`make fuzz` runs for longer.
"""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import patience
import pytest
from demo_service import DemoService

pytestmark = [pytest.mark.integration, pytest.mark.timeout(0)]

EXAMPLES = os.environ.get("FUZZ_EXAMPLES")
"""Of each operation, and of each way through several of them."""

PHASES = "examples,coverage,fuzzing,stateful" if EXAMPLES else "examples,fuzzing,stateful"

SUPPORT = Path(__file__).parents[2] / "support"


def test_the_description_is_true(guarded: DemoService, tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--no-color", "run", f"{guarded.url}/openapi.json"),
        *("--header", "X-API-Key: ana", "--header", "Authorization: Bearer token"),
        *("--phases", PHASES, "--max-examples", EXAMPLES or "3", "--seed", "1", "--generation-database", "none"),
        # Replaced by two checks of our own that call them: schemathesis_hooks.py.
        *("--checks", "all", "--exclude-checks", "negative_data_rejection,positive_data_acceptance"),
        *("--continue-on-failure", "--request-timeout", str(patience.LONGEST)),
    ]
    environment = os.environ | {"PYTHONPATH": str(SUPPORT), "SCHEMATHESIS_HOOKS": "schemathesis_hooks"}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    print(run.stdout[-600:])
    assert run.returncode == 0, run.stdout + run.stderr
    assert httpx.get(f"{guarded.url}/readyz", timeout=patience.LONGEST).is_success
    assert not guarded.faults


def test_every_route_is_described(guarded: DemoService) -> None:
    paths = patience.get(f"{guarded.url}/openapi.json").json()["paths"]
    for alias in (
        "generate-caption",
        "generate_caption",
        "v1/generate-caption",
        "v1/feedback",
        "feedback",
        "store_feedback",
    ):
        assert "post" in paths[f"/{alias}"]
    assert set(paths["/v1/voice"]) == {"get", "put", "delete"}
    answers = [operation["responses"] for path in paths.values() for operation in path.values()]
    refusals = [answer for responses in answers for status, answer in responses.items() if int(status) >= 400]
    assert {media for refusal in refusals for media in refusal["content"]} == {"application/problem+json"}


def test_a_refused_method_hears_of_all_that_there_are(guarded: DemoService) -> None:
    answer = patience.request("PATCH", f"{guarded.url}/v1/voice", headers={"X-API-Key": "ana"})
    assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, GET, HEAD, PUT")


@pytest.mark.parametrize("charset", ["undefined", "idna", "punycode", "unicode_escape", "utf-7", "utf-16", "nonsense"])
def test_a_form_is_in_utf8(guarded: DemoService, charset: str) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="location\\ud800"\r\n\r\n\\ud800\r\n--x--\r\n'
    headers = {"X-API-Key": "ana", "Content-Type": f"multipart/form-data; boundary=x; charset={charset}"}
    for path in ("generate-caption", "feedback"):
        answer = patience.post(f"{guarded.url}/{path}", content=part, headers=headers)
        assert (answer.status_code, answer.json()["reason"]) == (415, "unsupported_media_type")
