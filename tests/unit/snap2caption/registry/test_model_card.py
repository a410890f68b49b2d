from pathlib import Path

import pytest

from snap2caption.registry.model_card import NO_CARD, ModelCard, read_card

pytestmark = pytest.mark.unit

MODELS = Path(__file__).parents[4] / "models"


def card_of(models: Path) -> Path:
    (models / "base").mkdir()
    return models / "base" / "README.md"


def test_the_demo_base_says_what_it_was_trained_on() -> None:
    card = read_card("demo-base", MODELS)
    assert (card.languages, card.instruction_tuned) == ({"en"}, False)
    assert "only rendered scenes" in card.limitations
    assert "snap2caption serve --model " in card.limitations


@pytest.mark.parametrize(
    ("metadata", "limitations"),
    [
        ("limitations: >-\n  Only scenes.\n  No photographs.\n", "Only scenes. No photographs."),
        ("limitations: [1]\n", ""),
    ],
)
def test_limitations_are_one_line_of_text(tmp_path: Path, metadata: str, limitations: str) -> None:
    card_of(tmp_path).write_text(f"---\n{metadata}---\n", encoding="utf-8")
    assert read_card("base", tmp_path).limitations == limitations


@pytest.mark.parametrize(
    ("card", "languages"),
    [
        ("---\nlanguage:\n- en\n- zh-Hant\n- no\n---\n# A card", {"en", "zh", "no"}),
        ("---\nlanguage: French\n---\n", {"fr"}),
        ("---\nlicense: mit\n---\n", set()),
        ("---\nlanguage: multilingual\n---\n", set()),
    ],
)
def test_languages_are_those_of_the_metadata(tmp_path: Path, card: str, languages: set[str]) -> None:
    card_of(tmp_path).write_text(card, encoding="utf-8")
    assert read_card("base", tmp_path) == ModelCard(frozenset(languages), instruction_tuned=True)


@pytest.mark.parametrize(
    "card", ["", "# No metadata", "---\n[\n---\n", "---\n- a list\n---\n", "---\nno end", "\udcff"]
)
def test_a_card_that_says_nothing_claims_nothing(tmp_path: Path, card: str) -> None:
    card_of(tmp_path).write_text(card, encoding="utf-8", errors="surrogateescape")
    assert read_card("base", tmp_path) == NO_CARD
    assert read_card("elsewhere", tmp_path) == NO_CARD
