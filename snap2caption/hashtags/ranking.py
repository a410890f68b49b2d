"""Choosing hashtags for a post, and saying why.

Candidates are what the model wrote, words of the caption and the place that the corpus uses as hashtags, and what the corpus uses together
with these. A candidate's score is its relevance to the photo, times how well it balances reach and competition, times how much it is at
home in the city. From the best on, each next hashtag is the one with the highest score once what it shares with those chosen already is
taken off (maximal marginal relevance, Carbonell and Goldstein, SIGIR 1998), so that the first five are the best five together.
"""

from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import chain, islice

from snap2caption.hashtags.table import HashtagTable
from snap2caption.hashtags.text import normalise, unique
from snap2caption.segmentation import fold_words

FALLBACK = (
    "photooftheday", "instagood", "photography", "picoftheday", "travel", "citylife", "instadaily", "explore", "urban", "moment",
    "street", "city", "view", "weekend", "life", "art", "light", "walk", "today", "wanderlust", "skyline", "outdoors", "memories",
    "discover", "adventure", "inspiration", "creative", "mood", "goodvibes", "happy", "colors", "perspective", "snapshot", "lifestyle",
    "beautiful", "everyday", "storytelling", "composition", "details", "scenery",
)  # fmt: skip
"""Fits any photo: used only where nothing better is known, those first that the corpus uses most."""

_OWN = 0.6
"""How likely a hashtag that the model wrote first suits the photo, before anything else is known."""

_FADING = 0.85
"""What each next one that it wrote is worth of the one before."""

_SAID = 0.3
"""How likely a word of the caption, or of the place, that is used as a hashtag suits the photo."""

_TRUST = 0.2
"""How far the company of one hashtag is believed: those of a post say much the same, and don't add up as if they did not know of each other."""

_IDEAL_REACH = 0.6
"""On the logarithmic scale from never to the most used: people look for it, and a post is not drowned within minutes."""

_BALANCE = 0.25
"""How much reach and competition count beside relevance."""

_SHARED = 0.3
"""How much of its score a hashtag loses that is always used with one chosen before."""

_TYPICAL = 1.5
"""How much more often than everywhere a hashtag is used in a city that it is typical of."""

_LEAST = 4
"""Letters that a word of the caption must have to be looked up: shorter ones are articles and prepositions."""


_TOGETHER = 5
"""Words in a row that are looked up as one: ``goldengate``, and 自由女神像, each of whose characters is a word."""


class Source(StrEnum):
    """Where a hashtag comes from."""

    MODEL = "model"
    CAPTION = "caption"
    PLACE = "place"
    CORPUS = "corpus"
    GENERAL = "general"


@dataclass(frozen=True, slots=True)
class Ranked:
    """A chosen hashtag in normal form, and why it was chosen. ``relevance`` and ``reach`` are from 0 to 1."""

    tag: str
    source: Source
    relevance: float
    reach: float
    city: str | None
    """The city that it is typical of, if it is the photo's."""
    beside: str | None
    """The hashtag or word that speaks for it most."""

    @property
    def why(self) -> str:
        """One sentence for a creator."""
        origins = {
            Source.MODEL: "Written for the photo",
            Source.CAPTION: "A word of the caption that posts use as a hashtag",
            Source.PLACE: "Names the place",
            Source.CORPUS: f"Often used with #{self.beside}",
            Source.GENERAL: "Suits any photo",
        }
        parts = [origins[self.source]]
        if self.city:
            parts.append(f"typical of {self.city}")
        if self.source is not Source.GENERAL:
            parts.append(_describe(self.reach))
        return f"{', '.join(parts)}."


def _describe(reach: float) -> str:
    if reach == 0:
        return "hardly used: little reach, no competition"
    if reach > 0.85:
        return "very popular: wide reach, much competition"
    return "known well enough to be looked for" if reach > 0.4 else "a small circle, little competition"


@dataclass(frozen=True, slots=True)
class Subject:
    """What is known of a post in words: its caption, the hashtags that the model wrote, and the place that the creator named."""

    caption: str
    written: Sequence[str] = ()
    place: str = ""


def rank(subject: Subject, table: HashtagTable, banned: Container[str], number: int) -> list[Ranked]:
    """Return *number* hashtags for a post, the best first: valid, none banned, none twice (nor once more in the plural).

    There are fewer only if nearly all of `FALLBACK` is banned.
    """
    seeds = _seeds(subject, table)
    relevance, beside = _relevance(seeds, table)
    city = table.city(seeds)
    candidates = {
        tag: Ranked(
            tag=tag,
            source=seeds[tag].source if tag in seeds else Source.CORPUS,
            relevance=likely,
            reach=table.reach(tag),
            city=city if city and table.affinity(tag, city) >= _TYPICAL else None,
            beside=beside.get(tag),
        )
        for tag, likely in relevance.items()
    }
    scores = {tag: _score(one, table, city) for tag, one in candidates.items()}
    general = [
        Ranked(tag, Source.GENERAL, 0.0, table.reach(tag), None, None)
        for tag in sorted(FALLBACK, key=table.reach, reverse=True)
    ]
    allowed = _Allowed(banned)
    chosen = [candidates[tag] for tag in _pick(scores, table, allowed, number)]
    filled = islice((one for one in general if allowed.take(one.tag)), number - len(chosen))
    return [*chosen, *filled]


@dataclass(frozen=True, slots=True)
class _Seed:
    source: Source
    weight: float


def _seeds(subject: Subject, table: HashtagTable) -> dict[str, _Seed]:
    """Return what is known of the photo before the corpus is asked, and how likely each suits it."""
    seeds = {tag: _Seed(Source.MODEL, _OWN * _FADING**place) for place, tag in enumerate(unique(subject.written))}
    for source, text in ((Source.PLACE, subject.place), (Source.CAPTION, subject.caption)):
        for tag in _words(text):
            if tag in table:
                seed = seeds.setdefault(tag, _Seed(source, 0.0))
                # Said as well as written: more likely by what was still open.
                seeds[tag] = _Seed(seed.source, 1 - (1 - seed.weight) * (1 - _SAID))
    return seeds


def _relevance(seeds: Mapping[str, _Seed], table: HashtagTable) -> tuple[dict[str, float], dict[str, str]]:
    """Return how likely each candidate suits the photo, and which seed speaks for it most.

    A seed speaks for a hashtag by the share of its posts that have it; the seeds are joined as independent causes (noisy or).
    """
    doubt: defaultdict[str, float] = defaultdict(lambda: 1.0)
    loudest: dict[str, tuple[float, str]] = {}
    for tag, seed in seeds.items():
        doubt[tag] *= 1 - seed.weight
        for other in table.companions(tag):
            voice = _TRUST * seed.weight * table.share(tag, other)
            doubt[other] *= 1 - voice
            loudest[other] = max(loudest.get(other, (0.0, "")), (voice, tag))
    return {tag: 1 - left for tag, left in doubt.items()}, {tag: seed for tag, (_, seed) in loudest.items()}


def _score(one: Ranked, table: HashtagTable, city: str | None) -> float:
    balance = 1 - _BALANCE * abs(one.reach - _IDEAL_REACH)
    # Used everywhere is as good as used here; used elsewhere only is not.
    return one.relevance * balance * (min(1.0, table.affinity(one.tag, city)) if city else 1.0)


def _pick(scores: dict[str, float], table: HashtagTable, allowed: "_Allowed", number: int) -> list[str]:
    chosen: list[str] = []
    likeness: defaultdict[str, float] = defaultdict(float)
    left = dict(scores)
    while left and len(chosen) < number:
        best = max(left, key=lambda tag: (left[tag] * (1 - _SHARED * likeness[tag]), tag))
        del left[best]
        if allowed.take(best):
            chosen.append(best)
            for tag in left:
                likeness[tag] = max(likeness[tag], table.likeness(tag, best))
    return chosen


class _Allowed:
    """Which hashtags may still be taken: not a banned one, and none that was taken before in another number."""

    def __init__(self, banned: Container[str]) -> None:
        self._banned = banned
        self._taken: set[str] = set()

    def take(self, tag: str) -> bool:
        """Whether *tag* may be taken; from then on it is."""
        singular = _singular(tag)
        if tag in self._banned or singular in self._taken:
            return False
        self._taken.add(singular)
        return True


@lru_cache(maxsize=1 << 14)
def _singular(tag: str) -> str:
    from inflection import singularize

    return str(singularize(tag))


def _words(text: str) -> list[str]:
    """Return the words of *text*, and up to `_TOGETHER` in a row as one, in the normal form of hashtags."""
    words = [part for word in fold_words(text) for part in word.split("'")]  # a hashtag has no apostrophe
    runs = (zip(*(words[at:] for at in range(size)), strict=False) for size in range(1, _TOGETHER + 1))
    tags = (normalise("".join(run)) for run in chain.from_iterable(runs))
    return [tag for tag in tags if tag and len(tag) >= _LEAST]
