"""Hashtags for all scenes of the sample corpus. The ground truth is the corpus's lexicon, not the ranking's."""

import random
from collections import Counter
from itertools import combinations, product

import pytest

from demo.corpus.captions import write_caption
from demo.corpus.facts import facts_in
from demo.corpus.lexicon import CITIES
from demo.corpus.tags import write_tags
from demo.scenes.scene import LANDMARKS, City, Mood, Scene, Subject, Time, Weather
from snap2caption.hashtags.banned import read_banned
from snap2caption.hashtags.ranking import GENERAL, rank
from snap2caption.hashtags.ranking import PostContext as Asked
from snap2caption.hashtags.table import HashtagTable
from snap2caption.post import parse

pytestmark = pytest.mark.unit

EVERYWHERE = [subject for subject in Subject if all(subject not in landmarks for landmarks in LANDMARKS.values())]
SCENES = [
    Scene(city, subject, time, weather, mood)
    for city in City
    for subject, time, weather in product([*LANDMARKS[city], *EVERYWHERE], Time, Weather)
    for mood in [random.Random(f"{city}{subject}{time}{weather}").choice(list(Mood))]
]
BANNED = read_banned()


@pytest.fixture(scope="module")
def table() -> HashtagTable:
    """What the transform would count of four posts a scene."""
    rng = random.Random(0)
    counts, cities, together = Counter[str](), dict[str, Counter[str]](), dict[str, Counter[str]]()
    for scene in SCENES * 4:
        tags = write_tags(scene, rng)
        counts.update(tags)
        for tag in tags:
            cities.setdefault(tag, Counter())[scene.city] += 1
        for one, other in combinations(tags, 2):
            together.setdefault(one, Counter())[other] += 1
            together.setdefault(other, Counter())[one] += 1
    rows = [
        {
            "tag": tag,
            "count": count,
            "cities": [{"city": city, "count": used} for city, used in cities[tag].items()],
            "with": [{"tag": other, "count": used} for other, used in together[tag].most_common(32)],
        }
        for tag, count in counts.most_common()
    ]
    return HashtagTable.from_rows(rows)


def chosen(scene: Scene, table: HashtagTable, rng: random.Random, *, misled: bool) -> tuple[str, list[str]]:
    """The caption of a post about *scene*, and the hashtags for it; of a model that is *misled* half of its own are
    about another scene.
    """
    post = parse(write_caption(scene, rng))
    written = list(post.hashtags)
    if misled:
        wrong = write_tags(rng.choice(SCENES), rng)
        written = [tag for pair in zip(written, wrong, strict=False) for tag in pair]
    place = rng.choice(CITIES[scene.city].prose) if misled else rng.choice(("", *CITIES[scene.city].prose))
    return post.caption, [one.tag for one in rank(Asked(post.caption, written, place), table, BANNED, 30)]


@pytest.mark.parametrize("misled", [False, True])
def test_hashtags_of_no_scene_contradict_it(table: HashtagTable, misled: bool) -> None:
    rng = random.Random(1)
    contradictions = []
    for scene in SCENES:
        caption, tags = chosen(scene, table, rng, misled=misled)
        facts = facts_in(" ".join(f"#{tag}" for tag in tags))
        truth = {"city": scene.city, "time": scene.time, "weather": scene.weather}
        # Which of two landmarks is in the photo only the caption says, and a model may be wrong about that.
        truth |= {} if misled else {"subject": scene.subject}
        general = [tag in GENERAL for tag in tags]
        assert len(tags) >= 5
        assert general == sorted(general), "what suits any photo comes last"
        contradictions += [
            (caption, kind, getattr(facts, kind))
            for kind, value in truth.items()
            if not getattr(facts, kind) <= {value}
        ]
    assert contradictions == []
