"""Requests to the store of each step: with nothing new, as many however much there is; otherwise by what is new.

`make scale-feedback` measures the same on a real S3 server. Label Studio's steps are counted in
tests/integration/etl/feedback/test_tasks.py.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from counting_store import CountingStore
from feedbacks import Box, draw

from etl.feedback.collect import collect
from etl.feedback.kinds import Shares
from etl.feedback.reporting.report import RetrainingSummary, write_report
from etl.feedback.sample import open_records, sample
from etl.feedback.validate import validate
from etl.feedback.withdrawal import withdraw as withdrawal
from snap2caption.feedback import Feedback
from snap2caption.store import ObjectStore

pytestmark = pytest.mark.unit

FEW, MANY = 6, 48
PHOTO = draw(0)

Requests = dict[str, Counter[str]]


class World:
    """A store with feedback, all of which is annotated, and one that is erased."""

    def __init__(self, folder: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.box = Box(folder / "feedback")
        self.store = CountingStore(self.box.store)
        self.sent: list[Feedback] = []
        self.monkeypatch = monkeypatch
        self.add(number)
        self.box.erase(self.sent[0])

    def add(self, number: int) -> None:
        for each in range(len(self.sent), len(self.sent) + number):
            self.sent.append(self.box.send(each, PHOTO))
            self.box.annotate(each)

    def run(self) -> Requests:
        """Do each step, and return its requests."""

        def open_either(uri: str) -> ObjectStore:
            return self.store if uri == self.box.uri else Box(self.folder / "versions").store

        self.monkeypatch.setattr(withdrawal, "open_store", open_either)
        datasets = (self.folder / "datasets").as_uri()
        steps: dict[str, Callable[[], object]] = {
            "collect": lambda: collect(self.store),
            "sample": lambda: sample(self.store, Shares(random=1.0), 0),
            "open": lambda: open_records(self.store),
            "validate": lambda: validate(self.store),
            "report": lambda: write_report(self.store, RetrainingSummary(), self.folder / "report.html"),
            "withdraw": lambda: withdrawal.withdraw(self.box.uri, datasets, self.folder / "state", self.folder),
        }
        found = {}
        for name, step in steps.items():
            self.store.requests.clear()
            step()
            found[name] = Counter(self.store.requests)
        return found


@pytest.fixture
def worlds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[World]:
    return [World(tmp_path / str(number), number, monkeypatch) for number in (FEW, MANY)]


def of_content(requests: Counter[str]) -> Counter[str]:
    """Return the requests for records and annotations, without lists."""
    return Counter({what: n for what, n in requests.items() if what in {"get records", "get annotations"}})


def test_with_nothing_new_a_step_costs_the_same_at_any_size(worlds: list[World]) -> None:
    for world in worlds:
        world.run()
    few, many = (world.run() for world in worlds)
    assert few == many
    for step, requests in many.items():
        assert not of_content(requests), step
        assert not [what for what in requests if what.startswith(("put", "delete"))], (step, requests)
        # Each prefix at most once for each question: which are there, and which were erased.
        assert max((n for what, n in requests.items() if what.startswith("list")), default=0) <= 2, (step, requests)
        assert requests.total() <= 12, (step, requests)


def test_what_is_new_is_read_once_by_each_step(worlds: list[World]) -> None:
    for world in worlds:
        world.run()
        world.add(3)
    few, many = (world.run() for world in worlds)
    for found in (few, many):
        assert found["sample"]["get records"] == 3
        assert of_content(found["validate"]) == {"get records": 3, "get annotations": 3}
        # The facts about records are the report's own; those about annotations it shares with `validate`.
        assert of_content(found["report"]) == {"get records": 3}
        assert not of_content(found["collect"] + found["open"] + found["withdraw"])
    assert max(requests.total() for requests in many.values()) <= max(requests.total() for requests in few.values()) + 2


def test_all_is_read_once_at_first(worlds: list[World]) -> None:
    for world, number in zip(worlds, (FEW, MANY), strict=True):
        found = world.run()
        # Without the erased one.
        assert found["sample"]["get records"] == found["report"]["get records"] == number - 1
        assert of_content(found["validate"]) == {"get records": number - 1, "get annotations": number - 1}
