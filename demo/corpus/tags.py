"""Hashtags of a scene: specific ones first, then popular ones, then the long tail that real corpora have."""

import itertools
import random

from demo.corpus.lexicon import CITIES, MOODS, SUBJECTS, TIMES, WEATHERS
from demo.scenes.scene import Scene

POPULAR = (
    "photooftheday", "travel", "instagood", "city", "urban", "picoftheday", "wanderlust", "streetphotography", "explore", "travelgram",
    "photography", "architecture", "nofilter", "weekend", "cityscape", "instatravel", "skyline", "view", "adventure", "moments",
    "lifestyle", "vacation", "art", "beautiful", "traveler", "tourist", "visualsoflife", "igers", "shotoniphone", "exploremore",
)  # fmt: skip
"""Tags that go with any picture, the most popular first."""

_MIDDLES = (
    "my",
    "best",
    "secret",
    "little",
    "weekend",
    "local",
    "hidden",
    "true",
    "daily",
    "classic",
    "real",
    "street",
    "slow",
    "happy",
    "only",
    "old",
)
_ENDINGS = (
    "walks", "diaries", "club", "crew", "corner", "stories", "views", "finds", "gram", "lovers", "moments", "frames", "guide", "notes", "scenes",
    "life", "days", "dreams", "shots", "trip",
)  # fmt: skip


def _tail() -> dict[str, tuple[str, ...]]:
    tails: dict[str, tuple[str, ...]] = {}
    for words in (*CITIES.values(), *SUBJECTS.values()):
        for stem in words.tags[:2]:
            tags = [stem + middle + ending for middle, ending in itertools.product(_MIDDLES, _ENDINGS)]
            # In an order of its own for each stem, so that not all share the same favorites.
            random.Random(stem).shuffle(tags)
            tails[stem] = tuple(tags)
    return tails


TAIL: dict[str, tuple[str, ...]] = _tail()
"""Rare compound tags by their stem, a city's or subject's tag; the less rare first."""


def zipf(rng: random.Random, size: int) -> int:
    """Return a rank from 0 to *size* - 1, lower ranks likelier: close to Zipf's law."""
    return min(size - 1, int(size ** rng.random()) - 1)


def write_tags(scene: Scene, rng: random.Random) -> list[str]:
    """Return 3 to 12 different hashtags for *scene* without ``#``, the most telling first."""
    count = rng.choices(range(3, 13), (4, 7, 12, 16, 17, 15, 11, 8, 6, 4))[0]
    city, subject = CITIES[scene.city].tags, SUBJECTS[scene.subject].tags
    time, weather, mood = TIMES[scene.time].tags, WEATHERS[scene.weather].tags, MOODS[scene.mood].tags
    tags = [
        city[zipf(rng, len(city))],
        subject[zipf(rng, len(subject))],
        time[zipf(rng, len(time))],
        weather[zipf(rng, len(weather))],
    ]
    tags = [*tags[:2], rng.choice(tags[2:])] if count == 3 else tags
    if count > 5:
        tags.append(mood[zipf(rng, len(mood))])
    if count > 6:
        tags.append(rng.choice((city[0], subject[0])))
    while len(set(tags)) < count:
        if rng.random() < 0.22:
            tail = TAIL[rng.choice((city[0], subject[0], subject[1]))]
            tags.append(tail[zipf(rng, len(tail))])
        else:
            tags.append(POPULAR[zipf(rng, len(POPULAR))])
    return list(dict.fromkeys(tags))
