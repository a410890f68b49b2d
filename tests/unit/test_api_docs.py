"""The pages for people name all that the code has: options, settings, answers, refusals."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.app import build_app
from serving.http.schemas import CaptionAnswer, Options, Timing
from serving.settings import ServingSettings
from snap2caption.images import ImageError

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def reasons() -> Iterator[str]:
    """What the service's modules give `ProblemError` as a reason, and `decode` as an `ImageError`'s."""
    for folder, error, place, prefix in (
        ("serving", "ProblemError", 1, ""),
        ("snap2caption", ImageError.__name__, 0, "image_"),
    ):
        for module in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", None) == error and len(node.args) > place:
                    reason = node.args[place]
                    if isinstance(reason, ast.Constant) and isinstance(reason.value, str):
                        yield f"{prefix}{reason.value}"


def test_every_option_and_part_of_the_answer_is_described() -> None:
    names = {
        *Options.model_fields,
        *CaptionAnswer.model_fields,
        *CaptionAnswer.model_computed_fields,
        *Timing.model_fields,
    }
    assert [name for name in sorted(names) if f"`{name}`" not in API and f'"{name}"' not in API] == []


def test_every_setting_is_described() -> None:
    pages = API + OPERATIONS
    names = (name.upper() for name in ServingSettings.model_fields)
    assert [name for name in names if not re.search(rf"`(?:SNAP2CAPTION_SERVING_)?{name}\b", pages)] == []


def test_every_refusal_is_described() -> None:
    assert len({*reasons()}) > 15
    assert sorted({reason for reason in reasons() if f"`{reason}`" not in API}) == []


def test_every_status_is_described(tmp_path: Path) -> None:
    app = build_app(ServingSettings(cache_dir=tmp_path, voice_file=tmp_path / "voice.sqlite"), lambda: None)
    operations = (operation for path in app.openapi()["paths"].values() for operation in path.values())
    refused = {status for operation in operations for status in operation["responses"] if int(status) >= 400}
    assert sorted(status for status in refused if f"| {status} |" not in API) == []
