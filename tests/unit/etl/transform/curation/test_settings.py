from pathlib import Path

import pytest

from etl.transform.curation.settings import CurationSettings, load_curation
from etl.transform.curation.steps import MEASURES
from snap2caption.errors import UserError

pytestmark = pytest.mark.unit

EXAMPLE = Path(__file__).parents[5] / "configs" / "curation" / "instagram.yaml"


def test_no_step_runs_by_default() -> None:
    assert CurationSettings().steps() == ()


def test_the_example_names_every_step_of_which_some_are_off() -> None:
    found = load_curation(EXAMPLE).steps()
    off = [name for name in CurationSettings.model_fields if name not in found]
    assert off == ["faces", "nsfw", "semantic_duplicates", "resize"]
    assert all(f"\n# {name}: {{" in EXAMPLE.read_text() for name in off)
    assert CurationSettings.model_validate_json(load_curation(EXAMPLE).model_dump_json()) == load_curation(EXAMPLE)


def test_every_limit_is_a_setting() -> None:
    for measure in MEASURES.values():
        for name in measure.limits:
            section, setting = name.split(".")
            assert f"{setting}" in str(CurationSettings.model_json_schema()), (section, setting)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "names no step"),
        ("blur:", "names no step"),
        ("[blur]", "names no step"),
        ("blur: {min_varience: 3}", "blur.min_varience is not a setting; did you mean min_variance?"),
        ("blurr: {min_variance: 3}", "blurr is not a setting; did you mean blur?"),
        ("blur: {}", "blur.min_variance is missing; add it."),
        ("blur: {min_variance: '3'}", "blur.min_variance should be a number, in digits without quotes, not '3'."),
        ("language: {keep: [en, Klingonish]}", "should be languages such as en or German; Klingonish is none"),
        ("length: {min_words: 5, max_words: 2}", "max_words is less than min_words"),
        ("contacts: {region: usa}", "contacts.region"),
        ("semantic_duplicates: {model: ../clip}", "semantic_duplicates.model"),
        ("semantic_duplicates: {model: /etc}", "semantic_duplicates.model"),
        ("a: [", "is not valid YAML"),
    ],
)
def test_what_does_not_fit_is_told_in_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "curation.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as raised:
        load_curation(path)
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No curation settings at"):
        load_curation(tmp_path / "none.yaml")
