import random

import pytest
from glin_profanity import Filter

from snap2caption.text.phrase_search import PhraseSearch, speed_up
from snap2caption.text.profanity import _filter

pytestmark = pytest.mark.unit

PLAIN = "morning light over the bridge on a one two me my wet big hot black white girls cup how to come Dick Moby!"
SIGNS = "*#@$%_?!.,/|_-&'  \n\té ÄßİıſKñ中グー😀\u200d\u00ad\u0301ﬀ０9a1"


def disguise(rng: random.Random, word: str) -> str:
    """Insert, replace, repeat and capitalize some letters."""
    letters = list(word)
    for _ in range(rng.randrange(3)):
        at = rng.randrange(len(letters))
        letters[at] = rng.choice(
            [letters[at] + rng.choice(SIGNS), rng.choice(SIGNS), letters[at] * rng.randrange(1, 4), letters[at].upper()]
        )
    return "".join(letters)


@pytest.mark.parametrize("languages", [("english",), ("english", "german"), ("chinese", "english")])
def test_the_filter_finds_the_same_as_without_it(languages: tuple[str, ...]) -> None:
    reference, ours = Filter({"languages": list(languages)}), speed_up(Filter({"languages": list(languages)}))
    rng = random.Random(0)
    listed = sorted(reference.words)
    phrases = [word for word in listed if not word.isalnum()]
    plain, found = PLAIN.split(), []
    for _ in range(200):
        words = [disguise(rng, rng.choice(rng.choice([listed, phrases, plain, plain]))) for _ in range(5)]
        text = rng.choice([" ", " ", "", "-", "  ", "\n"]).join(words)
        expected = reference.check_profanity(text)
        assert ours.check_profanity(text) == expected
        found.append(expected["contains_profanity"])
    assert 20 < sum(found) < 180  # both answers were compared


def test_the_library_still_searches_for_phrases_as_expected() -> None:
    assert isinstance(_filter(("english",))._scanner._rest_any, PhraseSearch)


@pytest.mark.parametrize(
    ("phrase", "text", "found"),
    [
        ("hot carl", "a hot carl.", True),
        ("hot carl", "a hot carlo", False),
        ("hot carl", "carl is hot", False),
        ("a$$", "xa$$", False),
        ("a$$", "a a$$a", True),  # the last sign bounds it
        ("hård", "so hård", True),
        ("激情", "这激情的", True),
    ],
)
def test_phrases_are_found_within_their_bounds(phrase: str, text: str, found: bool) -> None:
    assert (PhraseSearch([phrase]).search(text) is not None) == found
