import pytest

from snap2caption.text.language import _english_names, _own_names, english_name, find_language

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("German", "de"),
        (" german ", "de"),
        ("Deutsch", "de"),
        ("de", "de"),
        ("DE", "de"),
        ("deu", "de"),
        ("de-AT", "de-AT"),
        ("de_at", "de-AT"),
        ("français", "fr"),
        ("FRANCAIS", "fr"),
        ("日本語", "ja"),
        ("Japanese", "ja"),
        ("हिन्दी", "hi"),
        ("العربية", "ar"),
        ("Türkçe", "tr"),
        ("Brazilian Portuguese", "pt-BR"),
        ("pt-br", "pt-BR"),
        ("es-419", "es-419"),
        ("Simplified Chinese", "zh-Hans"),
        ("zh-hant-tw", "zh-Hant-TW"),
        ("Mandarin", "zh"),
        ("Farsi", "fa"),
        ("iw", "he"),
        ("Klingon", "tlh"),
    ],
)
def test_names_and_tags_of_a_language_are_one(text: str, tag: str) -> None:
    assert find_language(text) == tag


@pytest.mark.parametrize(
    "text",
    ["", "banana", "a", "xx", "zz-ZZ", "de-QQ", "de-", "Germany", "German, French", "german please", "emoji", "und",
     "mul", "zxx", "Unknown language", "Multiple languages", "none", "auto", "🇩🇪", "de; DROP", "x-private", "\u200bgerman"],
)  # fmt: skip
def test_what_is_no_language_is_none(text: str) -> None:
    assert find_language(text) is None


@pytest.mark.parametrize(
    ("tag", "name"),
    [("de", "German"), ("pt-BR", "Brazilian Portuguese"), ("de-LI", "German (Liechtenstein)"),
     ("zh-Hant-TW", "Chinese (Traditional, Taiwan)")],
)  # fmt: skip
def test_prompts_call_it_by_its_english_name(tag: str, name: str) -> None:
    assert english_name(tag) == name


def test_every_name_that_is_taken_has_a_tag_and_a_name() -> None:
    for name, tag in (_english_names() | _own_names()).items():
        # An older tag is read as today's: fat (Fanti) as ak.
        again = find_language(tag)
        assert again, name
        assert english_name(tag), name
        assert find_language(again) == again, name


@pytest.mark.parametrize("text", ["Ladin", "سرائیکی"])
def test_a_language_without_an_english_name_is_none(text: str) -> None:
    assert find_language(text) is None
