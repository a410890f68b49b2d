"""What Airflow's tasks run."""

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import forks
import pytest

from snap2caption.feedback import record_key

if TYPE_CHECKING:
    from conftest import AnnotationServer, Feedbacks

pytestmark = pytest.mark.integration


def test_a_record_becomes_a_task_and_its_annotation_a_record(
    feedbacks: "Feedbacks", annotation_server: "AnnotationServer"
) -> None:
    environment = {
        **os.environ,
        **annotation_server.access.environment,
        "SNAP2CAPTION_FEEDBACK_URI": feedbacks.uri,
        "SNAP2CAPTION_LABEL_STUDIO_PROJECT": "By command",
    }

    def run(*arguments: str) -> Any:
        command = [sys.executable, "-m", "snap2caption", *arguments, "--json"]
        done = forks.run_command(command, environment)
        return json.loads(done.stdout) if done.returncode == 0 else done.stderr

    given = feedbacks.add(1)
    pushed = run("label-studio-push", record_key(given))
    assert (pushed["created"], pushed["present"]) == (1, 0)
    assert pushed["project"].startswith(annotation_server.access.url)
    pulled = run("label-studio-pull")
    nothing = {"new": [], "changed": [], "removed": [], "refused": {}, "erased": 0}
    assert pulled == {"project": pushed["project"], **nothing}
    photo = f"photos/{given.photo[:2]}/{given.photo}.jpg"
    assert "is not a record of feedback" in run("label-studio-push", photo)
