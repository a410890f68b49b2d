"""Language lookup by English name, own name or BCP 47 tag. Names and tags come from Unicode's CLDR, through Babel."""

import re
import unicodedata
from functools import cache

_TAG = re.compile(r"(?P<language>[a-z]{2,3})(?:[-_](?P<script>[a-z]{4}))?(?:[-_](?P<territory>[a-z]{2}|\d{3}))?", re.I)
_NONE = frozenset({"und", "mul", "zxx", "mis", "root"})
"""Tags for no language or several languages."""

_ALSO = {
    "farsi": "fa",
    "mandarin": "zh",
    "mandarin chinese": "zh",
    "castilian": "es",
    "norwegian": "no",
    "bokmal": "nb",
}
"""Common English names that CLDR lacks."""


def find_language(text: str) -> str | None:
    """Return the BCP 47 tag (``de``, ``pt-BR``) of the language that *text* names, or None if it is not a language.

    Case, accents and surrounding white space do not matter. The first name that is not English takes a second, in
    which Babel loads all names.
    """
    text = text.strip()
    return _read_tag(text) or _english_names().get(_fold(text)) or _own_names().get(_fold(text))


def english_name(tag: str) -> str:
    """Return the English name of a language tag from `find_language`: ``German``, ``Brazilian Portuguese``, ``German
    (Liechtenstein)``.
    """
    from babel import Locale

    english = Locale("en")
    whole = english.languages.get(tag.replace("-", "_"))
    if whole is not None:
        return str(whole)
    language, *parts = tag.split("-")
    named = [str(english.scripts.get(part) or english.territories[part]) for part in parts]
    name = str(english.languages[language])
    return f"{name} ({', '.join(named)})" if named else name


def primary(tag: str) -> str:
    """Return the language of a tag without script and country: ``pt`` for ``pt-BR``."""
    return tag.partition("-")[0]


def load_names() -> None:
    """Load all names now, so that no request waits for them."""
    _english_names()
    _own_names()


def _read_tag(text: str) -> str | None:
    from babel import Locale
    from babel.core import get_global

    match = _TAG.fullmatch(text)
    if match is None:
        return None
    language = match["language"].lower()
    # Former and three-letter codes: iw becomes he, deu becomes de.
    language = str(get_global("language_aliases").get(language, language)).partition("_")[0]
    script = (match["script"] or "").title()
    territory = (match["territory"] or "").upper()
    english = Locale("en")
    if language in _NONE or language not in english.languages:
        return None
    if (script and script not in english.scripts) or (territory and territory not in english.territories):
        return None
    return "-".join(filter(None, (language, script, territory)))


@cache
def _english_names() -> dict[str, str]:
    from babel import Locale

    names = {
        _fold(str(name)): str(code).replace("_", "-")
        for code, name in Locale("en").languages.items()
        if code not in _NONE
    }
    return _ALSO | names


@cache
def _own_names() -> dict[str, str]:
    from babel import Locale, localedata

    # Babel has locales for languages without an English name, which prompts would need.
    known = Locale("en").languages.keys() - _NONE
    codes = [code for code in localedata.locale_identifiers() if "_" not in code and code in known]
    names = {code: Locale(code).languages.get(code) for code in codes}
    return {_fold(str(name)): code for code, name in names.items() if name}


def _fold(name: str) -> str:
    # Accents of Latin letters only: a vowel sign of another script is part of its word.
    letters = unicodedata.normalize("NFKD", " ".join(name.split()).casefold())
    return unicodedata.normalize("NFC", re.sub("[\u0300-\u036f]", "", letters))
