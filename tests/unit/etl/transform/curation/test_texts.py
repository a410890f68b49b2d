import time

import pytest

from etl.transform.curation.settings import (
    ContactSettings,
    HashtagShareSettings,
    LanguageSettings,
    LengthSettings,
    ProfanitySettings,
    RepetitionSettings,
)
from etl.transform.curation.texts import (
    Step,
    Text,
    check_contacts,
    check_hashtag_share,
    check_language,
    check_length,
    check_profanity,
    check_repetition,
    digest_template,
    find_contacts,
)

pytestmark = pytest.mark.unit


def judge(step: Step, caption: str, *hashtags: str) -> str | None:
    return step(Text(caption, list(hashtags)), {})


@pytest.mark.parametrize(
    ("caption", "reason"),
    [
        ("Morning.", "caption_length"),
        ("Coffee by the bridge 🌉", None),
        ("one two three four five six", "caption_length"),
    ],
)
def test_words_are_counted_without_emoji(caption: str, reason: str | None) -> None:
    assert judge(check_length(LengthSettings(min_words=2, max_words=5)), caption) == reason


def test_posts_of_hashtags_alone_are_rejected() -> None:
    step = check_hashtag_share(HashtagShareSettings(max_share=0.5))
    assert judge(step, "one two", "a", "b") is None
    assert judge(step, "one two", "a", "b", "c") == "hashtag_share"


def test_what_repeats_itself_is_rejected() -> None:
    step = check_repetition(RepetitionSettings(max_share=0.3))
    assert judge(step, "The ferry is late and the ferry waits") is None
    assert judge(step, "Buy now! buy NOW buy now") == "repetition"
    assert judge(step, "") is None


CONTACTS = (
    ("Orders: ana.b+shop@mail.example.org today", "Orders: today"),
    ("Call (212) 555-2368 or write", "Call or write"),
    ("Ruf an: +49 30 901820", "Ruf an:"),
    ("書いて info@例え.jp ください", "書いて ください"),
    ("a@b.example, +1 212 555 2368!", ", !"),
)


@pytest.mark.parametrize(("caption", "left"), CONTACTS)
def test_contacts_are_removed_or_the_pair_is_dropped(caption: str, left: str) -> None:
    text = Text(caption, [])
    assert check_contacts(ContactSettings())(text, {}) is None
    assert text.caption == left
    assert judge(check_contacts(ContactSettings(action="drop")), caption) == "contacts"


@pytest.mark.parametrize(
    "caption",
    ["Built in 1883, opened 24.05.1883", "Since 2019-03-04", "100 @ 50", "Room 1 of 1000000", "42.3601 71.0589"],
)
def test_dates_and_places_are_no_contacts(caption: str) -> None:
    assert find_contacts(caption, "US") == []


def test_a_caption_of_a_contact_alone_is_empty() -> None:
    assert judge(check_contacts(ContactSettings()), "me@example.org") == "empty_caption"


def test_contacts_in_hostile_captions_take_linear_time() -> None:
    def seconds(length: int) -> float:
        started = time.process_time()
        for unit in ("a", "a.", "@", "1", "1 ", "a@", "a@b-"):
            find_contacts("@" + unit * (length // len(unit)), "US")
        return time.process_time() - started

    seconds(100)
    assert seconds(40_000) < 40 * max(seconds(4_000), 0.001)


def test_captions_in_other_languages_are_rejected() -> None:
    step = check_language(LanguageSettings.model_validate({"keep": ["English", "de"]}))
    assert judge(step, "Morning light over the old bridge, with coffee") is None
    assert judge(step, "Der Kaffee am Morgen ist der beste von allen") is None
    assert judge(step, "Un café por la mañana con vistas al puente viejo") == "language"
    assert judge(step, "Buongiorno mondo") is None  # too short to tell


def test_listed_words_are_found_in_hashtags_too() -> None:
    step = check_profanity(ProfanitySettings())
    assert judge(step, "A fucking good morning") == "profanity"
    assert judge(step, "A good morning", "shit") == "profanity"
    assert judge(step, "A good morning in Scunthorpe", "coffee") is None
    assert (
        judge(check_profanity(ProfanitySettings.model_validate({"languages": ["de"]})), "So eine Scheiße")
        == "profanity"
    )


def test_templates_differ_in_numbers_alone() -> None:
    one = digest_template("Day 12 of 100: coffee!")
    assert one == digest_template("day 7 of 365 — Coffee")
    assert one != digest_template("Day 12 of 100: tea!")
