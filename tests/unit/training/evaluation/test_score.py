import json
import os
import sys

import forks
import pytest

from snap2caption.errors import UserError
from training.evaluation.score import score_files

pytestmark = pytest.mark.unit


@pytest.fixture
def write(tmp_path):
    def write_it(name, *rows):
        path = tmp_path / name
        path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
        return path

    return write_it


def test_files_are_scored_overall_and_by_city(write):
    hypotheses = write("h", {"id": 1, "caption": "golden fog"}, "", {"id": 2, "caption": "rain"})
    references = write(
        "r",
        {"id": 2, "captions": ["quiet rain", "rain"], "city": "chicago"},
        {"id": 1, "captions": ["golden fog"], "city": "newyork"},
    )
    scores = score_files(hypotheses, references)
    assert scores.overall.samples == 2
    assert scores.cities["newyork"].bleu_1 == pytest.approx(1)
    assert list(scores.cities) == ["chicago", "newyork"]


def test_the_tone_is_the_one_asked_for_or_the_references(write):
    hypotheses = write("h", {"id": 1, "caption": "golden fog"}, {"id": 2, "caption": ""})
    references = write(
        "r", {"id": 1, "captions": ["fog", "x" * 9], "tone": "witty"}, {"id": 2, "captions": ["golden fog"]}
    )
    scores = score_files(hypotheses, references)
    assert {tone.value: found.samples for tone, found in scores.tones.items()} == {"minimal": 1, "witty": 1}
    assert scores.tones["minimal"].people.tone_adherence == 1
    assert scores.overall.tone_adherence == 0


def test_a_line_separator_within_a_caption_ends_no_row(write):
    hypotheses = write("h", json.dumps({"id": 1, "caption": "golden\u2028fog"}, ensure_ascii=False))
    assert score_files(hypotheses, write("r", {"id": 1, "captions": ["golden fog"]})).overall.bleu_2 == pytest.approx(1)


@pytest.mark.parametrize(
    ("hypotheses", "references", "message"),
    [
        (['{"id": 1, "caption": "a"}'], ['{"id": 1, "captions": ["a"]}', '{"id": 2, "captions": ["b"]}'], "lacks 1 of 2 captions"),
        (["not json"], ['{"id": 1, "captions": ["a"]}'], "line 1, is not a row of the form {"),
        (
            ["", '{"id": 1}'],
            ['{"id": 1, "captions": ["a"]}'],
            'line 2, is not a row of the form {"id", "caption"} (caption: Field required); correct it.',
        ),
        (['{"id": 1, "caption": "a"}'], ['{"id": 1, "captions": []}'], 'is not a row of the form {"id", "captions": […]} (captions: '),
        (['{"id": 1, "caption": "a"}'], ['{"id": 1, "captions": ["a"], "tone": "grim"}'], "(tone: Input should be 'playful'"),
        (['{"id": 1, "caption": "a"}', '{"id": "1", "caption": "b"}'], ['{"id": 1, "captions": ["a"]}'], "line 2, repeats the id '1'"),
        ([""], ['{"id": 1, "captions": ["a"]}'], "has no captions"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(write, hypotheses, references, message):
    with pytest.raises(UserError) as caught:
        score_files(write("h", *hypotheses), write("r", *references))
    assert message in str(caught.value)


def test_the_command_prints_json_or_one_sentence(write, tmp_path):
    hypotheses = write("h", {"id": 1, "caption": "golden fog"})
    references = write("r", {"id": 1, "captions": ["golden fog"]})
    command = [sys.executable, "-m", "snap2caption", "score", str(hypotheses)]
    done = forks.run_command([*command, str(references)], os.environ)
    assert json.loads(done.stdout)["overall"]["bleu_2"] == pytest.approx(1)
    failed = forks.run_command([*command, str(tmp_path / "gone")], os.environ)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert (
        failed.stderr
        == f"error: {tmp_path / 'gone'} can't be read (No such file or directory); check the path and its permissions.\n"
    )
