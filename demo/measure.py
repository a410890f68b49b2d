"""Caption accuracy: does a caption name what its picture shows?

This can be measured because the sample corpus is rendered, so the truth about every picture is known.
"""

import json
import random
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from demo.corpus.facts import named
from demo.scenes.scene import City, Mood, Scene, Subject, Time, Weather
from snap2caption.errors import UserError

KINDS = ("city", "subject", "time", "weather")


class Accuracy(BaseModel):
    """Shares (0 to 1) of the captions that name the right city, subject, time of day and weather, and no other.

    ``shuffled`` are the same shares with the captions assigned to other pictures: the score of a model that does not
    look at them.
    """

    model_config = ConfigDict(frozen=True)

    captions: int
    right: dict[str, float]
    shuffled: dict[str, float]


def read_scenes(path: Path) -> dict[str, Scene]:
    """Read the truth file that `sample-corpus` wrote next to the corpus: each picture's scene by the post's id."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(
            f"No truth about the corpus at {path} ({error.strerror}); `sample-corpus` writes it next to the zip."
        ) from error
    rows = map(json.loads, lines)
    return {
        row["id"]: Scene(
            City(row["city"]), Subject(row["subject"]), Time(row["time"]), Weather(row["weather"]), Mood(row["mood"])
        )
        for row in rows
    }


def measure(captions: Mapping[str, str], scenes: Mapping[str, Scene]) -> Accuracy:
    """Compare captions (with their hashtags, by the post's id) with what their pictures show; ids without a known
    scene are left out.
    """
    ids = sorted(captions.keys() & scenes.keys())
    if not ids:
        raise UserError(
            "None of the captions belongs to a picture of this corpus; give the truth file of the corpus that was trained on."
        )
    others = ids.copy()
    random.Random(0).shuffle(others)
    return Accuracy(
        captions=len(ids),
        right=_shares([named(scenes[i], captions[i]) for i in ids]),
        shuffled=_shares([named(scenes[j], captions[i]) for i, j in zip(ids, others, strict=True)]),
    )


def _shares(answers: list[dict[str, bool]]) -> dict[str, float]:
    return {kind: sum(answer[kind] for answer in answers) / len(answers) for kind in KINDS}
