"""Hashtag ranking: selection for a post, with a reason for each hashtag.

Candidates are the hashtags that the model wrote, the place, words of the caption that the corpus uses as hashtags,
and hashtags that the corpus uses together with these more often than by chance. A candidate's score is its
relevance to the photo, times its balance of reach and competition, times its affinity to the city. Hashtags are
then chosen one by one by maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): each is the best one
once its overlap with those already chosen is subtracted, so that the first five are the best five together. No
hashtag is chosen that contradicts the caption, the place or an earlier one.
"""

from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import chain, islice

import regex as re

from snap2caption.hashtags.claims import ClaimKind, Claims, agree, claims, is_name_of_place, merge
from snap2caption.hashtags.table import HashtagTable
from snap2caption.hashtags.text import normalize, unique
from snap2caption.text.segmentation import fold_words

FALLBACK = (
    "photooftheday", "instagood", "photography", "picoftheday", "instadaily", "photo", "photographer", "explore",
    "moment", "inspiration", "creative", "memories", "details", "composition", "storytelling", "perspective",
    "snapshot", "instamood", "instaphoto", "instapic",
)  # fmt: skip
"""Hashtags that suit any photo. They are used only if nothing better is known, the most used first."""

GENERAL = frozenset(FALLBACK) | frozenset(
    (
        "adventure", "art", "beautiful", "bestoftheday", "discover", "exploremore", "follow", "ig", "igers",
        "instagram", "instatravel", "life", "lifestyle", "like4like", "likeforlike", "love", "moments", "nofilter",
        "photos", "shotoniphone", "style", "today", "tourist", "travel", "traveler", "travelgram",
        "travelphotography", "vacation", "view", "visualsoflife", "wanderlust", "weekend",
    )
)  # fmt: skip
"""Hashtags that say nothing about a photo. They come after those that do."""

_OWN = 0.6
"""The prior probability that the first hashtag that the model wrote suits the photo."""

_FADING = 0.85
"""The factor from each hashtag that the model wrote to the next one."""

_SAID = 0.3
"""The probability that a word of the caption or the place, if it is used as a hashtag, suits the photo."""

_NAMED = 0.9
"""The probability that the place's name, as the creator gave it, suits the photo."""

_TRUST = 0.2
"""The weight of one seed's evidence. The hashtags of a post say much the same, so their evidence is not independent."""

_IDEAL_REACH = 0.6
"""The ideal reach on the logarithmic scale from unused to most used.

People search for such a hashtag, and a post is not buried within minutes.
"""

_BALANCE = 0.25
"""The weight of the balance of reach and competition, relative to relevance."""

_SHARED = 0.3
"""The share of its score that a hashtag loses if it is always used with one chosen before."""

_TYPICAL = 1.5
"""The ratio of its use in a city to its use everywhere from which a hashtag is typical of the city."""

_TELLING = 0.1
"""The least excess over chance for a hashtag to count as evidence. A hashtag that goes with anything says nothing."""

_PLACE_WORDS = 4
"""The most words in a place name that becomes a hashtag. Longer texts are descriptions."""

_LEAST = 4
"""The fewest letters of a word of the caption that is looked up. Shorter words are articles and prepositions."""


_TOGETHER = 5
"""The most consecutive words that are looked up as one hashtag, such as ``goldengate`` or 自由女神像, where each character
is a word.
"""


class HashtagSource(StrEnum):
    """Where a hashtag comes from."""

    MODEL = "model"
    CAPTION = "caption"
    PLACE = "place"
    CORPUS = "corpus"
    GENERAL = "general"


@dataclass(frozen=True, slots=True)
class RankedHashtag:
    """A chosen hashtag in normal form, and why it was chosen. ``relevance`` and ``reach`` are from 0 to 1."""

    tag: str
    source: HashtagSource
    relevance: float
    reach: float | None
    """None without a corpus to measure it in."""
    city: str | None
    """The city that it is typical of, if it is the photo's."""
    beside: str | None
    """The hashtag or word that speaks for it most."""

    @property
    def why(self) -> str:
        """One sentence for the creator."""
        origins = {
            HashtagSource.MODEL: "Written for the photo",
            HashtagSource.CAPTION: "A word of the caption that posts use as a hashtag",
            HashtagSource.PLACE: "Names the place",
            HashtagSource.CORPUS: f"Often used with #{self.beside}",
            HashtagSource.GENERAL: "Suits any photo",
        }
        parts = [origins[self.source]]
        if self.city:
            parts.append(f"typical of {self.city}")
        if self.source is not HashtagSource.GENERAL and self.reach is not None:
            parts.append(_describe(self.reach))
        return f"{', '.join(parts)}."


def _describe(reach: float) -> str:
    if reach == 0:
        return "hardly used: little reach, no competition"
    if reach > 0.85:
        return "very popular: wide reach, much competition"
    return "known well enough to be looked for" if reach > 0.4 else "a small circle, little competition"


@dataclass(frozen=True, slots=True)
class PostContext:
    """The words of a post: its caption, the model's hashtags, and the place and hint that the creator gave."""

    caption: str
    written: Sequence[str] = ()
    place: str = ""
    hint: str = ""


def rank(subject: PostContext, table: HashtagTable, banned: Container[str], number: int) -> list[RankedHashtag]:
    """Return at most *number* hashtags for a post, best first: valid, not banned, and none twice, not even as its
    plural.

    None contradicts the caption, the place or another one (`snap2caption.hashtags.claims`). Those that suit any
    photo come last. There are fewer than *number* if no more fit.

    Without a corpus (*table* is empty), hashtags come from the model and the place only: none is added that suits any
    photo, and one that the model wrote is left out if others suit the photo.
    """
    measured = len(table) > 0
    seeds = _seeds(subject, table)
    relevance, beside = _relevance(seeds, table)
    city = table.city(seeds)
    candidates = {
        tag: RankedHashtag(
            tag=tag,
            source=seeds[tag].source if tag in seeds else HashtagSource.CORPUS,
            relevance=likely,
            reach=table.reach(tag) if measured else None,
            city=city if city and table.affinity(tag, city) >= _TYPICAL else None,
            beside=beside.get(tag),
        )
        for tag, likely in relevance.items()
    }
    scores = {tag: _score(one, table, city) for tag, one in candidates.items()}
    allowed = _Allowed(banned, subject, table)
    telling = {tag: score for tag, score in scores.items() if tag not in GENERAL}
    chosen = _pick(telling, table, allowed, number)
    vague = GENERAL if measured or not chosen else GENERAL - frozenset(FALLBACK)
    chosen += _pick({tag: scores[tag] for tag in scores.keys() & vague}, table, allowed, number - len(chosen))
    general = (
        RankedHashtag(tag, HashtagSource.GENERAL, 0.0, table.reach(tag), None, None)
        for tag in sorted(FALLBACK, key=table.reach, reverse=True)
        if measured and allowed.take(tag)
    )
    return [*(candidates[tag] for tag in chosen), *islice(general, number - len(chosen))]


@dataclass(frozen=True, slots=True)
class _Seed:
    source: HashtagSource
    weight: float


def _seeds(subject: PostContext, table: HashtagTable) -> dict[str, _Seed]:
    """Return the hashtags that are known without the corpus, with the probability that each suits the photo."""
    seeds = {
        tag: _Seed(HashtagSource.MODEL, _OWN * _FADING**place) for place, tag in enumerate(unique(subject.written))
    }
    said = dict.fromkeys(_names(subject.place), _NAMED)
    for source, text in (
        (HashtagSource.PLACE, subject.place),
        (HashtagSource.CAPTION, subject.caption),
        (HashtagSource.CAPTION, subject.hint),
    ):
        said |= {tag: _SAID for tag in _words(text) if tag in table and tag not in said}
        for tag, likely in said.items():
            seed = seeds.setdefault(tag, _Seed(source, 0.0))
            # If a hashtag is both in the text and written by the model, the probabilities are combined.
            seeds[tag] = _Seed(seed.source, 1 - (1 - seed.weight) * (1 - likely))
        said = {}
    return seeds


def _names(place: str) -> list[str]:
    """Return the creator's names of the place as hashtags. "Pier 39, San Francisco" gives two."""
    parts = re.split(r"[,;:/|()\[\]–—\n]|\s-\s", place)
    named = ([re.sub(r"['’]", "", word) for word in part.split()] for part in parts)
    return unique(re.sub(r"[^\w\p{M}]", "", "".join(words)) for words in named if len(words) <= _PLACE_WORDS)


def _relevance(seeds: Mapping[str, _Seed], table: HashtagTable) -> tuple[dict[str, float], dict[str, str]]:
    """Return the probability that each candidate suits the photo, and the seed that contributes most to it.

    A seed supports a hashtag as far as the hashtag is likelier with it than by chance. Seeds are combined as
    independent causes (noisy or).
    """
    doubt: defaultdict[str, float] = defaultdict(lambda: 1.0)
    loudest: dict[str, tuple[float, str]] = {}
    for tag, seed in seeds.items():
        doubt[tag] *= 1 - seed.weight
        is_place = ClaimKind.PLACE in claims(tag)
        for other in table.companions(tag):
            excess = table.excess(tag, other)
            # A city's name is evidence only for its other names: the photo may not show what else is in the city.
            if excess < _TELLING or (is_place and not is_name_of_place(other)):
                continue
            voice = _TRUST * seed.weight * excess
            doubt[other] *= 1 - voice
            loudest[other] = max(loudest.get(other, (0.0, "")), (voice, tag))
    return {tag: 1 - left for tag, left in doubt.items()}, {tag: seed for tag, (_, seed) in loudest.items()}


def _score(one: RankedHashtag, table: HashtagTable, city: str | None) -> float:
    balance = 1 - _BALANCE * abs(one.reach - _IDEAL_REACH) if one.reach is not None else 1.0
    # A hashtag used everywhere is as good as one used here. One used only elsewhere is not.
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
    """A filter of hashtags: it rejects banned ones, singulars and plurals of chosen ones, and contradictions."""

    def __init__(self, banned: Container[str], subject: PostContext, table: HashtagTable) -> None:
        self._banned = banned
        self._taken: set[str] = set()
        self._table = table
        self._names = frozenset(_names(subject.place))
        self._known = self._claims_of(subject)

    def take(self, tag: str) -> bool:
        """Whether *tag* may be chosen. If so, it counts as chosen from then on."""
        singular = _singular(tag)
        if tag in self._banned or singular in self._taken:
            return False
        # A place name is always allowed, even one like Sunset Boulevard.
        if tag not in self._names:
            claimed = self._claims(tag)
            if not agree(claimed, self._known):
                return False
            self._known = {**claimed, **self._known}
        self._taken.add(singular)
        return True

    def _claims_of(self, subject: PostContext) -> Claims:
        """Return what the creator and the caption claim. For the place, the creator's word comes first."""
        caption = subject.caption
        if subject.place:
            # A place's name makes no claim about weather or time.
            caption = re.sub(re.escape(subject.place), " ", caption, flags=re.IGNORECASE)
        named = self._home(subject.place)
        said = claims(caption)
        return merge(
            named, merge(self._home(subject.caption), {kind: said[kind] for kind in said.keys() - {ClaimKind.PLACE}})
        )

    def _home(self, text: str) -> Claims:
        """Return the place that *text* names, by itself or by what the corpus knows about its words."""
        homes = {home for home in map(self._table.home, _words(text)) if home}
        places = claims(text).get(ClaimKind.PLACE) or frozenset[str]().union(*map(_city, homes))
        return {ClaimKind.PLACE: places} if places else {}

    def _claims(self, tag: str) -> Claims:
        home = self._table.home(tag)
        return merge(claims(tag), {ClaimKind.PLACE: _city(home)} if home else {})


def _city(name: str) -> frozenset[str]:
    """Return the name of a city of the corpus as `claims` has it."""
    return claims(name).get(ClaimKind.PLACE, frozenset({name}))


@lru_cache(maxsize=1 << 14)
def _singular(tag: str) -> str:
    from inflection import singularize

    return str(singularize(tag))


def _words(text: str) -> list[str]:
    """Return the words of *text*, and up to `_TOGETHER` consecutive words as one, in the normal form of hashtags."""
    words = [part for word in fold_words(text) for part in word.split("'")]  # a hashtag has no apostrophe
    runs = (zip(*(words[at:] for at in range(size)), strict=False) for size in range(1, _TOGETHER + 1))
    tags = (normalize("".join(run)) for run in chain.from_iterable(runs))
    return [tag for tag in tags if tag and len(tag) >= _LEAST]
