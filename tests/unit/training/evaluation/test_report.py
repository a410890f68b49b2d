import math
import random
import re
from html.parser import HTMLParser

import pytest
from tiny import CITIES, write_photo, write_post

from snap2caption.datasets.shards import Sample
from snap2caption.errors import UserError
from snap2caption.post import Post, render
from snap2caption.registry.verdict import ComparedScore
from snap2caption.vlm import Generated
from training.evaluation.evaluate import EvaluationConditions, GeneratedCaptions, assess
from training.evaluation.format_checks import FormatViolation
from training.evaluation.report import Incumbent, render_report, save_report
from training.recipes.sections import EvaluationSettings

pytestmark = pytest.mark.unit

CONDITIONS = EvaluationConditions(
    dataset_version="d1", split="test", cities=(), settings=EvaluationSettings(), device="a CPU", precision="float32"
)


def samples_of(count, cities=tuple(CITIES)):
    rng = random.Random(0)
    chosen = [cities[number % len(cities)] for number in range(count)]
    return [
        Sample(f"s{number}", city, write_post(city, rng), write_photo(city, rng)) for number, city in enumerate(chosen)
    ]


def measured(samples, texts, name="run:abc"):
    answers = GeneratedCaptions([Generated(text, len(text.split())) for text in texts], [(len(samples), 2.0)])
    return assess(name, CONDITIONS, samples, samples, answers, 1.5)


@pytest.fixture(scope="module")
def samples():
    return samples_of(30)


@pytest.fixture(scope="module")
def good(samples):
    return measured(samples, [render(sample.post) for sample in samples])


@pytest.fixture(scope="module")
def mixed(samples):
    """A model that gets worse from photo to photo."""
    texts = [" ".join(render(sample.post).split()[: 15 - number // 2]) for number, sample in enumerate(samples)]
    return measured(samples, texts, "base:tiny")


class Page(HTMLParser):
    """Counts tags, and notes what the page would load and the text in each gallery."""

    def __init__(self, page):
        super().__init__()
        self.open, self.loads, self.galleries, self.heading = [], [], {}, ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.loads += [value for name, value in attributes if name in {"src", "href", "srcset", "action"}]
        if tag not in {"meta", "img", "rect", "line", "path"}:
            self.open.append(tag)
        if tag == "img":
            self.galleries.setdefault(self.heading, []).append("")

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.heading = data
        elif self.galleries.get(self.heading):
            self.galleries[self.heading][-1] += data


def test_a_post_with_an_incomplete_character_is_not_valid(samples, good):
    texts = [render(sample.post).replace("\n", " 😜\ufffd\n") for sample in samples]
    broken = measured(samples, texts)
    assert (good.overall.format_valid, good.overall.hashtags_valid) == (1, 1)
    assert (broken.overall.format_valid, broken.overall.hashtags_valid) == (0, 0)
    assert all(row.faults == (FormatViolation.INCOMPLETE_CHARACTER,) for row in broken.rows)
    assert "\ufffd" not in broken.model_dump_json()


def test_the_page_is_whole_and_loads_nothing(good, mixed, samples):
    page = Page(render_report(good, samples, Incumbent("champion v3", mixed)))
    assert page.open == []
    assert page.loads
    assert all(address.startswith("data:image/jpeg;base64,") for address in page.loads)


def test_photos_are_shown_with_model_champion_and_person(mixed, good, samples):
    page = Page(render_report(mixed, samples, Incumbent("champion v3", good)))
    assert {heading: len(shown) for heading, shown in page.galleries.items()} == {
        "Best": 6, "Worst": 6, "Random": 6, "Lost most": 6,
    }  # fmt: skip
    shown, row = page.galleries["Worst"][0], max(mixed.rows, key=lambda row: (-row.cider, row.id))
    for text in (row.hypothesis, row.reference):
        assert text.splitlines()[0] in shown
    assert "champion v3, CIDEr-D" in shown
    assert f"asked to be {row.tone.value}" in shown
    assert "no hashtag" in shown
    alone = Page(render_report(mixed, samples))
    assert set(alone.galleries) == {"Best", "Worst", "Random"}
    assert "champion" not in render_report(mixed, samples)


def test_scores_are_there_with_their_intervals(mixed, good, samples):
    page = render_report(mixed, samples, Incumbent("champion v3", good))
    interval = mixed.overall.intervals["cider"]
    assert (
        f"<td>{mixed.overall.cider:.3f}</td><td><small>{interval.low:.3f} to {interval.high:.3f}</small></td>" in page
    )
    assert re.search(r'Over champion v3, photo by photo, CIDEr-D gains <b class="worse">-\d\.\d+</b>', page)
    for name in (*CITIES, "minimal", "professional"):
        if name in {*mixed.cities, *mixed.tones}:
            assert f"<tr><td>{name}</td>" in page
    assert page.count('<svg viewBox="0 0 560 210"') == 2


def test_scores_on_held_out_feedback_are_shown(mixed, good, samples):
    scores = (ComparedScore(name="feedback: bleu_4", candidate=0.25, incumbent=math.nan),)
    page = render_report(mixed, samples, Incumbent("champion v3", good), scores)
    assert "<tr><td>bleu 4</td><td>0.250</td><td>not a number</td></tr>" in page
    assert "held-out feedback" not in render_report(mixed, samples, Incumbent("champion v3", good))


def test_it_is_the_same_each_time(mixed, samples):
    assert render_report(mixed, samples) == render_report(mixed, samples)


def test_what_strangers_wrote_stays_text(samples):
    nasty = '<script>alert("x")</script> & \x00 <img src=x onerror=y>\n#"><b>bold'
    page = Page(render_report(measured(samples, [nasty] * len(samples), name="run:<i>"), samples))
    assert page.open == []
    assert all(address.startswith("data:") for address in page.loads)
    assert 'alert("x")' in page.galleries["Best"][0]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_photos_in_one_city_are_enough(count):
    few = samples_of(count, ("chicago",))
    page = Page(render_report(measured(few, [render(sample.post) for sample in few]), few))
    assert sum(len(shown) for shown in page.galleries.values()) == count


def test_a_model_without_texts_or_rows_has_a_page(samples):
    silent = measured(samples, [""] * len(samples))
    assert "nothing" in Page(render_report(silent, samples, Incumbent("base", silent))).galleries["Best"][0]
    empty = silent.model_copy(update={"rows": (), "cities": {}, "tones": {}})
    assert Page(render_report(empty, [])).galleries == {}


def test_a_score_that_is_no_number_is_said_and_ranks_last(mixed, samples):
    broken = mixed.rows[0].model_copy(update={"cider": float("nan")})
    page = render_report(mixed.model_copy(update={"rows": (broken, *mixed.rows[1:]), "loss": float("nan")}), samples)
    assert "CIDEr-D not a number" in Page(page).galleries["Worst"][0]


def test_the_file_appears_whole_or_with_one_sentence_why_not(tmp_path):
    save_report(tmp_path / "report.html", "page")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=r"can't be written to .*folder .*; name another file"):
        save_report(tmp_path / "folder", "page")
    assert {path.name for path in tmp_path.iterdir()} == {"report.html", "folder"}


def test_a_post_without_hashtags_is_shown_as_it_is():
    sample = Sample("a", "chicago", Post("Fog."), write_photo("chicago", random.Random(0)))
    page = render_report(measured([sample], ["Fog.\n#fog"]), [sample])
    assert '<span class="tags">#fog</span>' in page
