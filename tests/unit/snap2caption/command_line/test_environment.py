import re
import subprocess
import sys

import pytest
from patience import LONGEST

from snap2caption.__main__ import known_variables
from snap2caption.command_line.environment import find_unknown
from snap2caption.settings import ROOT

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("mistyped", "meant"),
    [
        ("SNAP2CAPTION_SERVING_MAX_BATH", "SNAP2CAPTION_SERVING_MAX_BATCH"),
        ("SNAP2CAPTION_SERVING_API_KEY_HASH", "SNAP2CAPTION_SERVING_API_KEY_HASHES"),
        ("SNAP2CAPTION_SERVING_DEADLINE_SECOND", "SNAP2CAPTION_SERVING_DEADLINE_SECONDS"),
        ("SNAP2CAPTION_DATASET_URI", "SNAP2CAPTION_DATASETS_URI"),
        ("SNAP2CAPTION_ARIA_URL", "SNAP2CAPTION_ARIA2_URL"),
        ("SNAP2CAPTION_LABELSTUDIO_TOKEN", "SNAP2CAPTION_LABEL_STUDIO_TOKEN"),
        ("SNAP2CAPTION_AIRFLOW_PASWORD", "SNAP2CAPTION_AIRFLOW_PASSWORD"),
        ("SNAP2CAPTION_APIKEY", "SNAP2CAPTION_API_KEY"),
        ("SNAPCAPTION_SERVING_MAX_BATCH", "SNAP2CAPTION_SERVING_MAX_BATCH"),
        ("snap2caption_state_dirs", "SNAP2CAPTION_STATE_DIR"),
    ],
)
def test_a_mistyped_variable_is_named_with_the_right_one(mistyped: str, meant: str) -> None:
    (told,) = find_unknown(known_variables(), {mistyped: "hunter2"})
    assert told == f"The variable {mistyped} is no setting of Snap2Caption and is ignored; did you mean {meant}?"


def test_what_is_like_none_is_told_without_a_guess() -> None:
    (told,) = find_unknown(known_variables(), {"SNAP2CAPTION_COLOR_OF_THE_SEA": "blue"})
    assert told.endswith("unset it, or correct its name.")


def test_variables_of_every_part_and_of_others_are_no_mistakes() -> None:
    others = ["PATH", "AIRFLOW_CONN_SNAP2CAPTION_STORE", "CAPTION", "AWS_ACCESS_KEY_ID", "snap2caption_serving_threads"]
    assert not list(find_unknown(known_variables(), dict.fromkeys([*known_variables(), *others], "x")))


def test_every_variable_that_the_project_itself_names_is_known() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    named: set[str] = set()
    for path in listed.splitlines():
        # The change log names settings that are gone.
        if (
            path.startswith(("tests/", "CHANGELOG"))
            or path.endswith((".png", ".safetensors"))
            or (ROOT / path).is_dir()
        ):
            continue
        text = (ROOT / path).read_text(errors="ignore")
        named |= set(re.findall(r"(?<![A-Z_])SNAP2CAPTION_[A-Z0-9_]*[A-Z0-9](?![A-Z0-9_*])", text))
    # The entry point of containers turns a variable that names a file into one with its content.
    named = {name.removesuffix("__FILE") for name in named}
    assert len(named) > 40
    assert not list(find_unknown(known_variables(), dict.fromkeys(named, "x")))


def test_commands_say_it_on_standard_error() -> None:
    command = [sys.executable, "-m", "snap2caption", "extract", "--help"]
    environment = {"SNAP2CAPTION_ARIA2_SECRT": "hunter2", "PATH": ""}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=True, timeout=LONGEST)
    assert "did you mean SNAP2CAPTION_ARIA2_SECRET?" in result.stderr
    assert "hunter2" not in result.stderr + result.stdout
