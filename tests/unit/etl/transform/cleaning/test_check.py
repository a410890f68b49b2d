import pytest

from etl.transform.cleaning.check import digest_words

pytestmark = pytest.mark.unit

EVERYDAY = (
    "NYC", "New York", "Good morning", "❤️❤️❤️❤️❤️", "Out and about", "Love you NYC", "Supercalifragilisticexpialidocious",
    "おはよう", "早上好", "Доброе утро", "ทะเล", "शुभ प्रभात", "1 2 3 4 5 6",
)  # fmt: skip


@pytest.mark.parametrize("caption", EVERYDAY)
def test_what_anybody_may_write_tells_of_no_source(caption: str) -> None:
    assert digest_words(caption) is None


TELLING = (
    ("Original words number 5.", "ORIGINAL words, number 5!!"),
    ("The ferry comes late when it’s raining", "the ferry comes late when it's raining 🌧️"),
    ("昨日は友達と一緒に公園へ行った", "昨日は友達と一緒に公園へ行った！"),
    ("Вид на мост из нашего окна", "вид на мост, из нашего окна"),
)


@pytest.mark.parametrize(("one", "other"), TELLING)
def test_what_says_the_same_is_the_same(one: str, other: str) -> None:
    assert digest_words(one) is not None
    assert digest_words(one) == digest_words(other)


def test_other_words_are_others() -> None:
    assert len({digest_words(one) for one, _ in TELLING}) == len(TELLING)
