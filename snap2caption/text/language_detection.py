"""Language detection: whether a caption may be in the requested language, by py3langid (BSD license)."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from snap2caption.text.language import primary
from snap2caption.text.segmentation import find_emoji, find_words

_LEAST_RATIO = 0.1
"""The least probability of the requested language, relative to the likeliest one, at which it may be that of the text.

Measured on 130 short captions in 13 languages: from 0.01 to 0.3, no right caption is rejected. At 0.1, 99 % of the
captions in another language are.
"""

_LEAST_WORDS = 3
"""The language of fewer words is hard to tell."""

_RELATED = (
    frozenset({"no", "nb", "nn", "da"}),
    frozenset({"hr", "bs", "sr"}),
    frozenset({"id", "ms"}),
    frozenset({"fil", "tl"}),
    frozenset({"zh", "yue", "wuu"}),
)
"""Languages that short texts don't tell apart, and the names of one language."""


def may_be_in(text: str, language: str) -> bool:
    """Whether *text* may be in the language of a BCP 47 tag.

    It is if the text is too short to tell, or if the detector does not know the language.
    """
    found = relative_probability(text, [language])
    return found is None or found >= _LEAST_RATIO


def relative_probability(text: str, languages: Sequence[str]) -> float | None:
    """Return the probability of the likeliest of *languages*, relative to that of the likeliest language of all: 0
    to 1.

    None: the text is too short to tell, or the detector knows none of the languages.
    """
    if len(find_words(text)) < _LEAST_WORDS:
        return None
    for emoji in reversed(find_emoji(text)):
        text = text[: emoji.start()] + text[emoji.end() :]
    detector = _load_detector()
    accepted = _with_related(tuple(languages)) & _known()
    if not accepted:
        return None
    ranked = detector.rank(text)
    likely = next(probability for name, probability in ranked if name in accepted)
    return float(likely / ranked[0][1])


@cache
def _with_related(languages: tuple[str, ...]) -> frozenset[str]:
    tags = frozenset(map(primary, languages))
    return tags.union(*(related for related in _RELATED if not related.isdisjoint(tags)))


@cache
def _known() -> frozenset[str]:
    return frozenset(map(str, _load_detector().labels))


@cache
def _load_detector() -> Any:
    # It takes 0.5 s and about 100 MB, so services that never check a language don't load it.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
