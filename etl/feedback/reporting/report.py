"""Feedback report: the operator's page on creators' feedback, annotators' work and the last retraining."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from etl.feedback.annotated import list_annotated
from etl.feedback.record_facts import RecordFacts, read_record_facts
from etl.feedback.records import erased, read_records
from etl.feedback.reporting.spooled_facts import SpooledFacts
from etl.feedback.validate import CompletedAnnotation, read_judgments
from snap2caption.feedback import Verdict
from snap2caption.registry.client import ChampionState
from snap2caption.registry.verdict import GateVerdict as GateVerdict
from snap2caption.store import ObjectStore

_BINS = 10
_EXAMPLES = 12
_DAYS = 60
"""Number of days that are drawn, the newest."""


@dataclass(frozen=True, slots=True)
class RetrainingSummary:
    """The champion, its predecessor, and the gate's verdict on it; ``fault`` says why they are unknown."""

    standing: ChampionState | None = None
    verdict: GateVerdict | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class _Group:
    """Feedback on one model's captions in one tone."""

    version: str
    tone: str
    number: int
    accepted: float | None
    distance: float | None
    rating: float | None


@dataclass(frozen=True, slots=True)
class _Annotator:
    name: str
    annotations: int
    days: int
    unusable: int


def write_report(store: ObjectStore, retraining: RetrainingSummary, out: Path) -> None:
    """Write the page about all feedback in *store* to *out*. Creators' text is escaped and shown verbatim.

    Of most feedback, only the facts in the index are read. They are counted one by one, so memory holds numbers for
    each day, model, tone and annotator.

    Raises:
        StoreError: the store is unavailable or refuses.
        OSError: the page can't be written.
    """
    from jinja2 import Environment, PackageLoader

    with closing(SpooledFacts(read_record_facts(store, erased(store)))) as facts:
        tally = _Tally()
        for one in facts.rated_once():
            tally.count(one)
        creators, edited = facts.creators(), facts.newest_edits(_EXAMPLES)
    annotated, _ = list_annotated(store)
    annotators, agreement = _Annotators(), _Mean()
    for _, judgment in read_judgments(store, annotated):
        annotators.count(judgment.annotations)
        for similarity in judgment.similarities:
            agreement.add(similarity)
    examples = sorted(read_records(store, edited), key=lambda one: one.received, reverse=True)
    template = Environment(autoescape=True, loader=PackageLoader(__package__, ".")).get_template("report.html.j2")
    page = template.render(
        total=tally.total,
        creators=creators,
        days=tally.newest_days(),
        verdicts=[verdict.value for verdict in Verdict],
        distances=tally.histogram(),
        mean_distance=tally.distance.value,
        groups=tally.by_group(),
        reasons=tally.reasons.most_common(),
        annotators=annotators.by_number(),
        annotations=annotators.total,
        agreement=agreement.value,
        agreements=agreement.number,
        retraining=retraining,
        examples=[one for one in examples if one.is_edited],
    )
    out.write_text(page, encoding="utf-8")


class _Mean:
    """The mean of numbers that come one by one."""

    def __init__(self) -> None:
        self.number = 0
        self._sum = 0.0

    def add(self, value: float) -> None:
        self.number += 1
        self._sum += value

    @property
    def value(self) -> float | None:
        return self._sum / self.number if self.number else None


class _GroupTally:
    def __init__(self) -> None:
        self.number = 0
        self.accepted, self.distance, self.rating = _Mean(), _Mean(), _Mean()


class _Tally:
    """What the page says of all feedback, counted one by one."""

    def __init__(self) -> None:
        self.total = 0
        self.distance = _Mean()
        self.reasons: Counter[str] = Counter()
        self._bins: Counter[int] = Counter()
        self._days: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._groups: defaultdict[tuple[str, str], _GroupTally] = defaultdict(_GroupTally)

    def count(self, one: RecordFacts) -> None:
        group = self._groups[one.version, one.tone.value if one.tone else ""]
        self.total += 1
        group.number += 1
        self._days[f"{one.received:%Y-%m-%d}"][one.verdict.value if one.verdict else "other"] += 1
        if one.verdict:
            group.accepted.add(float(one.verdict is Verdict.ACCEPTED))
        if one.distance is not None:
            self.distance.add(one.distance)
            group.distance.add(one.distance)
            self._bins[min(int(one.distance * _BINS), _BINS - 1)] += 1
        if one.rating is not None:
            group.rating.add(one.rating)
        if one.reason:
            self.reasons[one.reason.value] += 1

    def newest_days(self) -> Sequence[tuple[str, Mapping[str, int], int]]:
        """Return the days with their feedback, by the creators' verdict on the caption and in total."""
        return [(day, counts, counts.total()) for day, counts in sorted(self._days.items())][-_DAYS:]

    def histogram(self) -> list[tuple[str, int]]:
        return [(f"{bin_ / _BINS:.1f}–{(bin_ + 1) / _BINS:.1f}", self._bins[bin_]) for bin_ in range(_BINS)]

    def by_group(self) -> list[_Group]:
        return [
            _Group(version, tone, group.number, group.accepted.value, group.distance.value, group.rating.value)
            for (version, tone), group in sorted(self._groups.items())
        ]


class _Annotators:
    """What each annotator did, counted one by one."""

    def __init__(self) -> None:
        self.total = 0
        self._done: Counter[str] = Counter()
        self._unusable: Counter[str] = Counter()
        self._days: defaultdict[str, set[date]] = defaultdict(set)

    def count(self, annotations: Iterable[CompletedAnnotation]) -> None:
        for one in annotations:
            self.total += 1
            self._done[one.annotator] += 1
            self._unusable[one.annotator] += not one.usable
            self._days[one.annotator].add(one.day)

    def by_number(self) -> list[_Annotator]:
        return [
            _Annotator(name, done, len(self._days[name]), self._unusable[name])
            for name, done in sorted(self._done.items(), key=lambda item: int(item[0]))
        ]
