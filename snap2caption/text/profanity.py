"""Profanity filter: profanity and slurs, by the word lists of glin-profanity (MIT license).

Whole words are compared, so Scunthorpe, Cockfosters and Penistone pass. Substituted letters (``sh1t``) and spaced
letters (``f u c k``) are recognized.
"""

from functools import cache, lru_cache
from typing import get_args

import regex as re
from glin_profanity import Filter
from glin_profanity.types.types import Language

from snap2caption.text.language import find_language, primary
from snap2caption.text.phrase_search import speed_up
from snap2caption.text.segmentation import fold_words

_ENGLISH = "english"
_NORWEGIAN = ("nb", "nn")
_LISTS = {find_language(name): str(name) for name in get_args(Language)}
_LISTS |= dict.fromkeys(_NORWEGIAN, _LISTS["no"])
"""The names of the word lists, by language tag."""


_NAMES = """
ass bastard bollocks bondage boner boob busty butt cock cocks dick dildo escort fucking hardcore hoe hooker
intercourse kinky lolita nude penis playboy pussy quim santorum scat sex sexy skeet smut snatch spunk suck swinger tit
tits topless tushy wank bloblos bander bosser bourree bourrée brackmard drague gerbe meuf palucher peter ramoner
tanche trique veuve bonze ische kimme mopse morgenlatte mose mufti nackt popel porno rosette vogeln anita asbak balen
bekken beurt del drol eikel griet hol johny kanen kloten knor kont lul muts naaien naakt paal palen pik poot pot reet
toeter carita carità cappella cammello carciofo caciocappella bordello biga casci cozza duro fava figa goldone guanto
lumaca manico mona monta padulo palle patacca pesce picio pipa pisello pistola pompa potta quaglia regina sega
spagnola topa troia uccello vacca zinne asno burro cono concha infierno martillo maciza mamada pezon pezón pinche trio
verga amador aranha balalao cabrao cacete cerveja consolo corno fecal inferno mama pau pinto queca saco torneira anus
røv fan hard hård helvete moona mutta olla pippa satan stake sås apara haahka hassia hitto jatka molo muna naida
pallit pano pehko reikä reika reva toosa tussu viiksi burok búr franc kúr marha marhak pele pina pocs pofa burdel
jajco jajko jajo syf avon bira bok cim mal meme top бугор голый 肥西 靠背 激情 人妻 女王様 ラバー ファンタジー ローター フック
"""
_IN_NAMES = frozenset(_NAMES.split())
"""Listed words that are also names of places or people, or harmless: Dick's Diner, La Concha, Kloten, Intercourse.

Slurs are never among them, even if a place has that name.
"""


def has_word_list(language: str) -> bool:
    """Whether there is a word list for the language of a BCP 47 tag."""
    return primary(language) in _LISTS


def find_unsafe(text: str, *, language: str | None = None, creator_text: str = "") -> list[str]:
    """Return the words of *text* that are not safe to publish.

    Args:
        text: a caption or a hashtag.
        language: the language of *text* as a BCP 47 tag such as ``de``. English is always checked.
        creator_text: text of the creator, such as the location. Words in it pass if they are common in names
            (``Dick's Diner``); slurs never pass.
    """
    languages = _languages(language)
    named = _find_names(creator_text, languages)
    return [word for word in _find_listed(text, languages) if word.casefold() not in named]


def safe_prefix(text: str, *, language: str | None = None) -> str:
    """Return the longest prefix of an unfinished *text* that stays safe to publish, whatever follows.

    Held back are the last word, which may grow; single letters before it, which may spell a word; and the beginning of
    any phrase in the word lists.

    Args:
        text: the text so far. It must be safe to publish.
        language: the language of *text*, as for `find_unsafe`.
    """
    words = list(re.finditer(r"\S+", text))
    begin = len(words) - 1
    while begin > 0 and len(re.findall(r"\w", words[begin - 1].group())) <= 1:
        begin -= 1
    phrases = _phrases(_languages(language))
    folded = [" ".join(fold_words(word.group())) for word in words]
    longest = max((phrase.count(" ") + 1 for phrase in phrases), default=1)
    for earlier in range(max(0, len(words) - longest), begin):
        tail = " ".join(folded[earlier:]).rstrip()
        if any(phrase.startswith(tail) for phrase in phrases):
            begin = earlier
            break
    return text[: words[begin].start()].rstrip() if words else ""


def _find_listed(text: str, languages: tuple[str, ...]) -> list[str]:
    """Return the listed words in *text*, in every spelling that the filter compares: ``hård`` is also ``hard``."""
    found: list[str] = _filter(languages).check_profanity(text)["profane_words"]
    return found


@lru_cache(maxsize=256)
def _find_names(text: str, languages: tuple[str, ...]) -> frozenset[str]:
    """Return the listed words in *text* that are common in names."""
    return frozenset(word.casefold() for word in _find_listed(text, languages)) & _spell_names(languages)


@cache
def _spell_names(languages: tuple[str, ...]) -> frozenset[str]:
    return frozenset(word.casefold() for name in _IN_NAMES for word in _find_listed(name, languages))


def _languages(language: str | None) -> tuple[str, ...]:
    return tuple(sorted({_ENGLISH, _LISTS.get(primary(language or ""), _ENGLISH)}))


@cache
def _phrases(languages: tuple[str, ...]) -> tuple[str, ...]:
    """Return the entries of the word lists that have several words."""
    folded = (" ".join(fold_words(str(entry))) for entry in _filter(languages).words)
    return tuple(sorted(phrase for phrase in folded if " " in phrase))


@cache
def _filter(languages: tuple[str, ...]) -> Filter:
    return speed_up(Filter({"languages": list(languages)}))
