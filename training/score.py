"""Scoring captions in files."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from snap2caption.errors import UserError
from training.metrics import Comparison, Scores


class FileScores(BaseModel):
    """The scores of all captions and, where the references name cities, of each city's."""

    overall: Scores
    cities: dict[str, Scores]


def score_files(hypotheses: Path, references: Path) -> FileScores:
    """Score rows ``{"id", "caption"}`` against rows ``{"id", "captions": […]}``, which may hold ``"city"``.

    Raises:
        UserError: a file is missing, a row is not as it should be, or the two don't hold the same ids.
    """
    written = {str(row["id"]): str(row["caption"]) for row in _rows(hypotheses, "caption")}
    rows = {str(row["id"]): row for row in _rows(references, "captions")}
    # Leaving out a hard photo must not raise a score.
    if missing := sorted(rows.keys() - written.keys()):
        raise UserError(
            f"{hypotheses} lacks {len(missing)} of {len(rows)} captions (the first: {missing[0]!r}); add them."
        )
    comparison = Comparison(written, {key: [str(text) for text in row["captions"]] for key, row in rows.items()})
    cities: dict[str, list[str]] = {}
    for key, row in rows.items():
        if "city" in row:
            cities.setdefault(str(row["city"]), []).append(key)
    return FileScores(
        overall=comparison.scores(), cities={city: comparison.scores(keys) for city, keys in sorted(cities.items())}
    )


def _rows(path: Path, field: str) -> list[dict[str, Any]]:
    rows = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"{path} can't be read ({error.strerror}).") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UserError(f"{path}, line {number}, is not JSON; write one object a line.") from error
        kind = list if field == "captions" else str
        if not isinstance(row, dict) or "id" not in row or not isinstance(row.get(field), kind) or not row[field]:
            raise UserError(f'{path}, line {number}, must be an object with "id" and a non-empty "{field}".')
        rows.append(row)
    if not rows:
        raise UserError(f"{path} holds no captions.")
    return rows
