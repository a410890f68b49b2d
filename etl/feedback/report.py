"""Feedback report: the operator's page on creators' feedback, annotators' work and the last retraining."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from pathlib import Path
from statistics import fmean

from etl.feedback.annotated import list_annotated
from etl.feedback.record_facts import RecordFacts, rated_once, read_record_facts
from etl.feedback.records import erased, read_records
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

    Of most feedback, only the facts in the index are read.

    Raises:
        StoreError: the store is unavailable or refuses.
        OSError: the page can't be written.
    """
    from jinja2 import Environment, PackageLoader

    facts = dict(read_record_facts(store, erased(store)))
    feedback = rated_once(facts)
    annotated, _ = list_annotated(store)
    judgments = [judgment for _, judgment in read_judgments(store, annotated)]
    annotations = [one for judgment in judgments for one in judgment.annotations]
    distances = [one.distance for one in feedback if one.distance is not None]
    agreements = [similarity for judgment in judgments for similarity in judgment.similarities]
    edited = nlargest(_EXAMPLES, (key for key, one in facts.items() if one.edited), lambda key: facts[key].received)
    examples = sorted(read_records(store, edited), key=lambda one: one.received, reverse=True)
    template = Environment(autoescape=True, loader=PackageLoader(__package__, ".")).get_template("report.html.j2")
    page = template.render(
        total=len(feedback),
        creators=len({one.creator for one in feedback}),
        days=_days(feedback),
        verdicts=[verdict.value for verdict in Verdict],
        distances=_histogram(distances),
        mean_distance=_mean(distances),
        groups=_groups(feedback),
        reasons=Counter(one.reason.value for one in feedback if one.reason).most_common(),
        annotators=_annotators(annotations),
        annotations=len(annotations),
        agreement=_mean(agreements),
        agreements=len(agreements),
        retraining=retraining,
        examples=[one for one in examples if one.is_edited],
    )
    out.write_text(page, encoding="utf-8")


def _days(feedback: Iterable[RecordFacts]) -> Sequence[tuple[str, Mapping[str, int], int]]:
    """Return the days with their feedback, by the creators' verdict on the caption and in total."""
    days: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in feedback:
        days[f"{one.received:%Y-%m-%d}"][one.verdict.value if one.verdict else "other"] += 1
    return [(day, counts, counts.total()) for day, counts in sorted(days.items())][-_DAYS:]


def _histogram(distances: Sequence[float]) -> list[tuple[str, int]]:
    counts = Counter(min(int(one * _BINS), _BINS - 1) for one in distances)
    return [(f"{bin_ / _BINS:.1f}–{(bin_ + 1) / _BINS:.1f}", counts[bin_]) for bin_ in range(_BINS)]


def _groups(feedback: Iterable[RecordFacts]) -> list[_Group]:
    groups: defaultdict[tuple[str, str], list[RecordFacts]] = defaultdict(list)
    for one in feedback:
        groups[one.version, one.tone.value if one.tone else ""].append(one)
    return [
        _Group(
            version,
            tone,
            len(members),
            _mean([float(one.verdict is Verdict.ACCEPTED) for one in members if one.verdict]),
            _mean([one.distance for one in members if one.distance is not None]),
            _mean([one.rating for one in members if one.rating is not None]),
        )
        for (version, tone), members in sorted(groups.items())
    ]


def _annotators(annotations: Iterable[CompletedAnnotation]) -> list[_Annotator]:
    theirs: defaultdict[str, list[CompletedAnnotation]] = defaultdict(list)
    for one in annotations:
        theirs[one.annotator].append(one)
    return [
        _Annotator(
            name,
            len(done),
            len({one.day for one in done}),
            sum(not one.usable for one in done),
        )
        for name, done in sorted(theirs.items(), key=lambda item: int(item[0]))
    ]


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
