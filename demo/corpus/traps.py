"""Corpus defects as in real corpora, in known numbers, so that a test can check what becomes of each.

Traps are in cities that the transform keeps by default, since the city filter would hide them otherwise.
"""

import io
import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from PIL import Image

from demo.corpus.captions import write_caption
from demo.corpus.pairs import ScenePair, encode, identifier, pair_of
from demo.scenes.scene import City, sample_scene
from snap2caption.datasets.corpus_members import CorpusMember, caption_member, image_member


class Trap(StrEnum):
    """What is wrong, or only unusual, with a sample."""

    MISSING_CAPTION = "missing_caption"
    MISSING_IMAGE = "missing_image"
    EMPTY_CAPTION = "empty_caption"
    UNDECODABLE_CAPTION = "undecodable_caption"
    TRUNCATED_IMAGE = "truncated_image"
    CORRUPT_IMAGE = "corrupt_image"
    ODD_DIMENSIONS = "odd_dimensions"
    EXACT_DUPLICATE = "exact_duplicate"
    NEAR_DUPLICATE = "near_duplicate"
    REPOST = "repost"
    ODD_CASE = "odd_case"
    UNSAFE_PATH = "unsafe_path"


COUNT = 3
"""How many samples of each trap there are."""

TRAPPED_CITIES = (City.NEWYORK, City.CHICAGO, City.SANFRANCISCO)
ODD_FOLDERS = {
    City.NEWYORK: ("NewYork", "new york"),
    City.CHICAGO: ("Chicago", "CHICAGO"),
    City.SANFRANCISCO: ("San Francisco", "SanFrancisco"),
}
_FIRST_NUMBER = 900_000_000
"""Traps are numbered from here, so that their ids never meet a pair's."""


class Trapped(NamedTuple):
    """One trap: its members, and a row of truth where it has both a picture and a caption that can be read."""

    trap: Trap
    members: tuple[CorpusMember, ...]
    truth: dict[str, Any] | None = None


def make_traps(seed: int, originals: Sequence[ScenePair]) -> Iterator[Trapped]:
    """Make every trap of the corpus of *seed*.

    Args:
        seed: the corpus's.
        originals: good pairs of `TRAPPED_CITIES` in the archive, which duplicates are made of; at least one.
    """
    rng = random.Random(f"traps/{seed}")
    names = (identifier(number, rng) for number in itertools.count(_FIRST_NUMBER))
    sources = itertools.cycle(originals)
    for trap, spoil in _SPOILERS.items():
        for turn in range(COUNT):
            yield Trapped(trap, spoil(_fresh_pair(next(names), rng), turn))
    for trap, copy in _COPIERS.items():
        for _ in range(COUNT):
            source = next(sources)
            pair = copy(source, next(names), rng)
            yield Trapped(trap, _members(pair), {**pair.truth(), "copy_of": source.id})
    for turn in range(2 * COUNT):
        pair = _fresh_pair(next(names), rng, TRAPPED_CITIES[turn % 3])
        folder = ODD_FOLDERS[pair.scene.city][turn // 3]
        yield Trapped(Trap.ODD_CASE, _members(pair, folder), pair.truth())
    escaping = _fresh_pair(next(names), rng)
    link = image_member(escaping.scene.city, escaping.id, b"/etc/hostname")._replace(symlink=True)
    for member in (CorpusMember("../evil.jpg", escaping.image), CorpusMember("/abs/evil.txt", escaping.caption), link):
        yield Trapped(Trap.UNSAFE_PATH, (member,))


def _fresh_pair(name: str, rng: random.Random, city: City | None = None) -> ScenePair:
    while True:
        scene = sample_scene(rng)
        if scene.city is city or (city is None and scene.city in TRAPPED_CITIES):
            return pair_of(scene, name, rng)


def _members(pair: ScenePair, folder: str | None = None) -> tuple[CorpusMember, ...]:
    place = folder or pair.scene.city.value
    return image_member(place, pair.id, pair.image), caption_member(place, pair.id, pair.caption)


def _without_caption(pair: ScenePair, _: int) -> tuple[CorpusMember, ...]:
    return _members(pair)[:1]


def _without_image(pair: ScenePair, _: int) -> tuple[CorpusMember, ...]:
    return _members(pair)[1:]


def _empty(pair: ScenePair, turn: int) -> tuple[CorpusMember, ...]:
    return _members(pair._replace(caption=(b"", b" \n\t ")[turn % 2]))


def _undecodable(pair: ScenePair, _: int) -> tuple[CorpusMember, ...]:
    return _members(pair._replace(caption=b"caf\xe9 cr\xe8me \xff\xfe " + pair.caption))


def _truncated(pair: ScenePair, _: int) -> tuple[CorpusMember, ...]:
    # The header is whole: only a full decode finds out.
    return _members(pair._replace(image=pair.image[: len(pair.image) * 6 // 10]))


def _corrupt(pair: ScenePair, turn: int) -> tuple[CorpusMember, ...]:
    return _members(pair._replace(image=random.Random(f"{pair.id}/{turn}").randbytes(4000)))


def _odd_size(pair: ScenePair, turn: int) -> tuple[CorpusMember, ...]:
    size = ((4, 4), (9000, 1), (1, 9000))[turn % 3]
    with Image.open(io.BytesIO(pair.image)) as image:
        return _members(pair._replace(image=encode(image.resize(size), 88)))


def _exact(source: ScenePair, name: str, _: random.Random) -> ScenePair:
    return source._replace(id=name)


def _near(source: ScenePair, name: str, rng: random.Random) -> ScenePair:
    with Image.open(io.BytesIO(source.image)) as image:
        again = image.resize((280, 280), Image.Resampling.BICUBIC).resize(image.size, Image.Resampling.BICUBIC)
    return source._replace(
        id=name, image=encode(again, 60), caption=write_caption(source.scene, rng, source.tone).encode()
    )


def _repost(source: ScenePair, name: str, rng: random.Random) -> ScenePair:
    return pair_of(source.scene, name, rng)._replace(tone=source.tone, caption=source.caption)


_SPOILERS: dict[Trap, Callable[[ScenePair, int], tuple[CorpusMember, ...]]] = {
    Trap.MISSING_CAPTION: _without_caption,
    Trap.MISSING_IMAGE: _without_image,
    Trap.EMPTY_CAPTION: _empty,
    Trap.UNDECODABLE_CAPTION: _undecodable,
    Trap.TRUNCATED_IMAGE: _truncated,
    Trap.CORRUPT_IMAGE: _corrupt,
    Trap.ODD_DIMENSIONS: _odd_size,
}
_COPIERS: dict[Trap, Callable[[ScenePair, str, random.Random], ScenePair]] = {
    Trap.EXACT_DUPLICATE: _exact,
    Trap.NEAR_DUPLICATE: _near,
    Trap.REPOST: _repost,
}
