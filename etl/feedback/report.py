"""Feedback report: the operator's page on creators' feedback, annotators' work and the last retraining."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import fmean

from etl.feedback.records import annotation_keys, read_annotations, read_records, record_keys
from snap2caption.feedback import Annotation, Feedback, Verdict, distance, rated_once
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

    Raises:
        StoreError: the store is unavailable or refuses.
        OSError: the page can't be written.
    """
    from jinja2 import Environment, PackageLoader

    keys = record_keys(store)
    feedback = rated_once(read_records(store, keys.values()))
    there = annotation_keys(store)
    annotations = read_annotations(
        store, [key for identifier in keys.keys() & there.keys() for key in there[identifier]]
    )
    distances = [one.edit_distance for one in feedback if one.edit_distance is not None]
    agreements = list(_agreements(annotations))
    edited = sorted((one for one in feedback if one.is_edited), key=lambda one: one.received, reverse=True)
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
        examples=edited[:_EXAMPLES],
    )
    out.write_text(page, encoding="utf-8")


def _days(feedback: Iterable[Feedback]) -> Sequence[tuple[str, Mapping[str, int], int]]:
    """Return the days with their feedback, by the creators' verdict on the caption and in total."""
    days: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in feedback:
        days[f"{one.received:%Y-%m-%d}"][one.verdict.value if one.verdict else "other"] += 1
    return [(day, counts, counts.total()) for day, counts in sorted(days.items())][-_DAYS:]


def _histogram(distances: Sequence[float]) -> list[tuple[str, int]]:
    counts = Counter(min(int(one * _BINS), _BINS - 1) for one in distances)
    return [(f"{bin_ / _BINS:.1f}–{(bin_ + 1) / _BINS:.1f}", counts[bin_]) for bin_ in range(_BINS)]


def _groups(feedback: Iterable[Feedback]) -> list[_Group]:
    groups: defaultdict[tuple[str, str], list[Feedback]] = defaultdict(list)
    for one in feedback:
        groups[one.model_version or "", one.tone.value if one.tone else ""].append(one)
    return [
        _Group(
            version,
            tone,
            len(members),
            _mean([float(one.verdict is Verdict.ACCEPTED) for one in members if one.verdict]),
            _mean([one.edit_distance for one in members if one.edit_distance is not None]),
            _mean([one.rating for one in members if one.rating is not None]),
        )
        for (version, tone), members in sorted(groups.items())
    ]


def _annotators(annotations: Iterable[Annotation]) -> list[_Annotator]:
    theirs: defaultdict[str, list[Annotation]] = defaultdict(list)
    for one in annotations:
        theirs[one.annotator].append(one)
    return [
        _Annotator(
            name,
            len(done),
            len({one.completed.date() for one in done}),
            sum(one.unusable is not None for one in done),
        )
        for name, done in sorted(theirs.items(), key=lambda item: int(item[0]))
    ]


def _agreements(annotations: Iterable[Annotation]) -> Iterable[float]:
    """Yield the similarity (0 to 1) of the captions of any two annotators of the same feedback."""
    of: defaultdict[str, dict[str, Annotation]] = defaultdict(dict)
    for one in sorted(annotations, key=lambda one: (one.completed, one.id)):
        if one.unusable is None:
            of[one.feedback][one.annotator] = one
    for newest in of.values():
        for one, other in combinations(newest.values(), 2):
            yield 1 - distance(one.words, other.words)


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
