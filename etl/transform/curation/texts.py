"""Curation of captions: length, hashtags, repetition, contacts, language, profanity and templates."""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import regex as re

from etl.transform.curation.settings import (
    ContactSettings,
    HashtagShareSettings,
    LanguageSettings,
    LengthSettings,
    ProfanitySettings,
    RepetitionSettings,
)
from etl.transform.rejection_reasons import RejectionReason
from snap2caption.text.segmentation import find_words, fold_words

# Possessive, and from the address's start only: a long run of letters takes linear time.
_EMAIL = re.compile(r"(?<![\w.%+-])[\w.%+-]++@(?:[\p{L}\p{N}-]++\.)++\p{L}{2,}")
_NUMBER = re.compile(r"(?:\d[\s().\-/]{0,3}){7}")
"""Fewer digits are no phone number. Most captions have none, and the library takes a while to say so."""
_DIGITS = re.compile(r"\d+")


@dataclass(slots=True)
class Text:
    """A cleaned caption and its hashtags, which steps may change."""

    caption: str
    hashtags: list[str]


Step = Callable[[Text, dict[str, float]], RejectionReason | None]


def check_length(settings: LengthSettings) -> Step:
    """Return the step that rejects captions with too few or too many words."""

    def step(text: Text, measures: dict[str, float]) -> RejectionReason | None:
        words = measures["words"] = len(find_words(text.caption))
        too_long = settings.max_words is not None and words > settings.max_words
        return RejectionReason.CAPTION_LENGTH if words < settings.min_words or too_long else None

    return step


def check_hashtag_share(settings: HashtagShareSettings) -> Step:
    """Return the step that rejects posts that are mostly hashtags."""

    def step(text: Text, measures: dict[str, float]) -> RejectionReason | None:
        tags = len(text.hashtags)
        share = measures["hashtag_share"] = tags / max(1, tags + len(find_words(text.caption)))
        return RejectionReason.HASHTAG_SHARE if share > settings.max_share else None

    return step


def check_repetition(settings: RepetitionSettings) -> Step:
    """Return the step that rejects captions that repeat themselves."""

    def step(text: Text, measures: dict[str, float]) -> RejectionReason | None:
        words = fold_words(text.caption)
        runs = Counter(zip(*(words[start:] for start in range(settings.run)), strict=False))
        repeated = sum(count for count in runs.values() if count > 1)
        share = measures["repetition"] = repeated / max(1, runs.total())
        return RejectionReason.REPETITION if share > settings.max_share else None

    return step


def check_contacts(settings: ContactSettings) -> Step:
    """Return the step that removes e-mail addresses and phone numbers, or rejects captions that have one."""

    def step(text: Text, measures: dict[str, float]) -> RejectionReason | None:
        places = find_contacts(text.caption, settings.region)
        measures["contacts"] = len(places)
        if not places:
            return None
        if settings.action == "drop":
            return RejectionReason.CONTACTS
        for start, end in reversed(places):
            text.caption = f"{text.caption[:start].rstrip(' ')} {text.caption[end:].lstrip(' ')}".strip()
        return None if text.caption else RejectionReason.EMPTY_CAPTION

    return step


def find_contacts(text: str, region: str) -> list[tuple[int, int]]:
    """Return the places of e-mail addresses and valid phone numbers in *text*, in order and apart from each other.

    *region* is the country of numbers without a country's code, as two capital letters (ISO 3166).
    """
    found = [match.span() for match in _EMAIL.finditer(text)] if "@" in text else []
    if _NUMBER.search(text):
        from phonenumbers import PhoneNumberMatcher

        numbers = ((match.start, match.end) for match in PhoneNumberMatcher(text, region))
        found += [(start, end) for start, end in numbers if all(end <= one or other <= start for one, other in found)]
    return sorted(found)


def check_language(settings: LanguageSettings) -> Step:
    """Return the step that rejects captions in other languages."""
    from snap2caption.text.language_detection import relative_probability

    def step(text: Text, measures: dict[str, float]) -> RejectionReason | None:
        found = relative_probability(text.caption, settings.keep)
        if found is None:
            return None
        measures["language"] = found
        return RejectionReason.LANGUAGE if found < settings.min_ratio else None

    return step


def check_profanity(settings: ProfanitySettings) -> Step:
    """Return the step that rejects captions and hashtags with listed words."""
    from snap2caption.text.profanity import find_unsafe

    languages = settings.languages or ("en",)

    def step(text: Text, measures: dict[str, float]) -> RejectionReason | None:
        whole = " ".join([text.caption, *text.hashtags])
        found = {word for language in languages for word in find_unsafe(whole, language=language)}
        measures["profanity"] = len(found)
        return RejectionReason.PROFANITY if found else None

    return step


def digest_template(caption: str) -> bytes:
    """Return a fingerprint (SHA-256) that captions share which differ in nothing but numbers, case and punctuation."""
    return hashlib.sha256(_DIGITS.sub("0", " ".join(fold_words(caption))).encode()).digest()
