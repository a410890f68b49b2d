"""Scores of captions in JSON Lines files."""

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from snap2caption.errors import UserError
from snap2caption.formats.documents import first_fault
from snap2caption.post import Tone, parse
from snap2caption.tone import infer_tone
from training.evaluation.bootstrap import BOOTSTRAP, Bootstrap
from training.evaluation.metrics import Comparison, ReferenceScores


class _ScoreRow(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True)

    id: str


class Hypothesis(_ScoreRow):
    """A generated caption for a photo; it may be empty."""

    caption: str


class Reference(_ScoreRow):
    """The captions that people wrote for a photo.

    ``city`` groups the scores. ``tone`` is the requested tone, by default that of the first caption. Photos with
    the same ``group`` are not independent of each other, such as copies of one image; a photo without a group is
    independent of all others.
    """

    captions: Annotated[list[str], Field(min_length=1)]
    city: str | None = None
    tone: Tone | None = None
    group: str | None = None

    @property
    def requested_tone(self) -> Tone:
        """The requested tone."""
        return self.tone or infer_tone(parse(self.captions[0]).caption)


class FileScores(BaseModel):
    """Scores of all captions, of each tone and, if the references name cities, of each city."""

    overall: ReferenceScores
    cities: dict[str, ReferenceScores]
    tones: dict[Tone, ReferenceScores]
    bootstrap: Bootstrap = BOOTSTRAP


Row = TypeVar("Row", bound=_ScoreRow)


def score_files(hypotheses: Path, references: Path) -> FileScores:
    """Score a file of `Hypothesis` rows against a file of `Reference` rows, each with one JSON object per line.

    Raises:
        UserError: a file is missing, a row is invalid, or a reference or hypothesis has no counterpart.
    """
    written = _read(hypotheses, Hypothesis, '{"id", "caption"}')
    rows = _read(references, Reference, '{"id", "captions": […]}')
    # Every photo needs a caption: leaving out hard photos must not raise a score.
    if missing := sorted(rows.keys() - written.keys()):
        raise UserError(
            f"{hypotheses} lacks {len(missing)} of {len(rows)} captions (the first: {missing[0]!r}); add them."
        )
    tones = {key: row.requested_tone for key, row in rows.items()}
    comparison = Comparison(
        {key: row.caption for key, row in written.items()},
        {key: row.captions for key, row in rows.items()},
        tones,
        {key: f"group {row.group}" if row.group else f"photo {key}" for key, row in rows.items()},
    )
    return FileScores(
        overall=comparison.scores(),
        cities=comparison.scores_by({key: row.city for key, row in rows.items() if row.city is not None}),
        tones=comparison.scores_by(tones),
    )


def _read(path: Path, kind: type[Row], shape: str) -> dict[str, Row]:
    try:
        content = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} can't be read ({error.strerror}); check the path and its permissions.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8; save it as UTF-8.") from error
    rows: dict[str, Row] = {}
    # Not splitlines(), which also splits at separators that JSON allows inside strings.
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = kind.model_validate_json(line)
        except ValidationError as error:
            raise UserError(
                f"{path}, line {number}, is not a row of the form {shape} ({first_fault(error)}); correct it."
            ) from error
        if row.id in rows:
            raise UserError(f"{path}, line {number}, repeats the id {row.id!r}; keep one of them.")
        rows[row.id] = row
    if not rows:
        raise UserError(f"{path} has no captions; give a file with one JSON object per line.")
    return rows
