"""Curation steps: what each measures of a pair, and when it rejects it."""

from collections.abc import Callable
from dataclasses import dataclass

from etl.transform.curation import embeddings, pictures, texts
from etl.transform.curation.settings import CurationSettings
from etl.transform.rejection_reasons import RejectionReason


@dataclass(frozen=True, slots=True)
class Measure:
    """A quantity that a step measures, for its chart: where its bars end, and which settings limit it."""

    title: str
    edges: tuple[float, ...]
    limits: tuple[str, ...]
    """Settings with the least and the greatest value, as dotted names."""


MEASURES = {
    "words": Measure("Words of the caption", (3, 5, 10, 15, 20, 30, 50, 100), ("length.min_words", "length.max_words")),
    "hashtag_share": Measure(
        "Share of hashtags", (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), ("hashtag_share.max_share",)
    ),
    "repetition": Measure("Share of repeated runs of words", (0.001, 0.1, 0.2, 0.3, 0.5), ("repetition.max_share",)),
    "contacts": Measure("E-mail addresses and phone numbers", (1, 2, 3), ("contacts.action",)),
    "language": Measure(
        "Probability of the languages to keep, relative to the likeliest",
        (0.001, 0.01, 0.1, 0.5, 0.999),
        ("language.min_ratio",),
    ),
    "profanity": Measure("Profane words", (1, 2, 3), ()),
    "side": Measure("Pixels of the shorter side", (128, 256, 320, 480, 640, 1024, 2048), ("size.min_side",)),
    "aspect": Measure("Longer side by shorter side", (1.01, 1.26, 1.34, 1.51, 1.8, 2.5, 3.5), ("size.max_aspect",)),
    "sharpness": Measure(
        "Sharpness: variance of the Laplacian", (5, 10, 20, 50, 100, 200, 500, 1000, 2000), ("blur.min_variance",)
    ),
    "faces": Measure("Faces", (1, 2, 3, 4, 6, 10), ("faces.min_faces", "faces.max_faces")),
    "nsfw": Measure(
        "Probability that the picture is not safe for work", (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95), ("nsfw.max_score",)
    ),
}

_DAMAGE = (OSError, SyntaxError, ValueError)
"""What Pillow raises for damage that does not show at a smaller size."""

Measures = dict[str, float]
TextStep = Callable[[texts.Text, Measures], RejectionReason | None]
PhotoStep = Callable[[bytes, Measures], RejectionReason | None]


class Curator:
    """The steps of *settings* that look at one pair at a time, in order.

    Raises:
        UserError: a step needs a package that is not installed.
    """

    def __init__(self, settings: CurationSettings) -> None:
        made = [make(getattr(settings, name)) for name, make in _TEXT_STEPS.items() if getattr(settings, name)]
        self._text_steps: list[TextStep] = made
        self._header_steps: list[PhotoStep] = [pictures.check_size(settings.size)] if settings.size else []
        found = [make(getattr(settings, name)) for name, make in _PHOTO_STEPS.items() if getattr(settings, name)]
        self._photo_steps: list[PhotoStep] = found
        self.finds_templates = settings.templates is not None
        semantic = settings.semantic_duplicates
        self._sketch = None if semantic is None else embeddings.sketch_pictures(semantic)

    def judge_text(self, text: texts.Text, measures: Measures) -> RejectionReason | None:
        """Return why the caption is rejected, or None. The steps change *text*, and add what they measure."""
        return next((reason for step in self._text_steps if (reason := step(text, measures))), None)

    def judge_header(self, photo: bytes, measures: Measures) -> RejectionReason | None:
        """Return why the photo is rejected, or None, by its size alone: nothing is decoded."""
        return next((reason for step in self._header_steps if (reason := step(photo, measures))), None)

    def judge_photo(self, photo: bytes, measures: Measures) -> RejectionReason | None:
        """Return why the photo is rejected, or None. It must be one that can be decoded at a reduced size."""
        try:
            return next((reason for step in self._photo_steps if (reason := step(photo, measures))), None)
        except _DAMAGE:
            return RejectionReason.CORRUPT_IMAGE

    def sketch(self, photo: bytes) -> bytes | RejectionReason | None:
        """Return what the photo shows, as 32 bytes to compare, if a step asks for it; or why the photo is rejected."""
        try:
            return None if self._sketch is None else self._sketch(photo)
        except _DAMAGE:
            return RejectionReason.CORRUPT_IMAGE


_TEXT_STEPS: dict[str, Callable[..., TextStep]] = {
    "length": texts.check_length,
    "hashtag_share": texts.check_hashtag_share,
    "repetition": texts.check_repetition,
    "contacts": texts.check_contacts,
    "language": texts.check_language,
    "profanity": texts.check_profanity,
}
_PHOTO_STEPS: dict[str, Callable[..., PhotoStep]] = {
    "blur": pictures.check_blur,
    "faces": pictures.check_faces,
    "nsfw": pictures.check_nsfw,
}
