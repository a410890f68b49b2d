"""The pages for people name all that the code has: options, settings, answers, refusals."""

import ast
import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from serving.app import build_app
from serving.http.schemas import CaptionAnswer, Options, Timing
from serving.observability.metrics import REFUSAL_REASONS
from serving.settings import ServingSettings
from snap2caption.images import ImageError
from snap2caption.settings import Settings

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


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


def refusals() -> Iterator[tuple[int, str]]:
    """What the service's modules give `ProblemError` as status and reason."""
    for module in (ROOT / "serving").rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "ProblemError":
                status, reason, *_ = node.args
                if isinstance(status, ast.Attribute) and isinstance(reason, ast.Constant):
                    yield HTTPStatus[status.attr].value, str(reason.value)


def test_every_reason_stands_beside_its_status() -> None:
    rows = re.findall(r"^\| (\d{3}) \|(.*?)\|", API, re.MULTILINE)
    described = {(int(status), reason) for status, names in rows for reason in re.findall(r"`(\w+)`", names)}
    assert sorted({*refusals()} - described) == []


def shown(field: FieldInfo) -> str:
    """Return a setting's default as the table of settings shows it."""
    if field.default_factory is not None:
        path = field.get_default(call_default_factory=True)
        return f"`{path.relative_to(Settings().state_dir)}`"
    default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if default in (None, "", ()):
        return "–"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def test_every_setting_has_its_default_in_the_table() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (\S+) \|", API, re.MULTILINE))
    assert rows == {name.upper(): shown(field) for name, field in ServingSettings.model_fields.items()}


def test_every_option_has_a_row() -> None:
    firsts = re.findall(r"^\| (`[a-z_]+`(?:, `[a-z_]+`)*) \|", API, re.MULTILINE)
    rows = {name for first in firsts for name in re.findall(r"\w+", first)}
    assert [name for name in Options.model_fields if name not in rows] == []


def test_every_option_and_part_of_the_answer_is_described() -> None:
    names = {
        *Options.model_fields,
        *CaptionAnswer.model_fields,
        *CaptionAnswer.model_computed_fields,
        *Timing.model_fields,
    }
    assert [name for name in sorted(names) if f"`{name}`" not in API and f'"{name}"' not in API] == []


def test_every_reason_is_counted_from_the_start() -> None:
    assert sorted({*reasons()} - {*REFUSAL_REASONS}) == []


def test_every_refusal_is_described() -> None:
    assert len({*reasons()}) > 15
    assert sorted({reason for reason in reasons() if f"`{reason}`" not in API}) == []


def test_every_status_is_described(tmp_path: Path) -> None:
    app = build_app(ServingSettings(cache_dir=tmp_path, voice_file=tmp_path / "voice.sqlite"), lambda: None)
    operations = (operation for path in app.openapi()["paths"].values() for operation in path.values())
    refused = {status for operation in operations for status in operation["responses"] if int(status) >= 400}
    assert sorted(status for status in refused if f"| {status} |" not in API) == []
