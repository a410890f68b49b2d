"""Attempts at a post: photos are captioned again if no caption is safe to publish or an untrained model did not comply."""

from collections.abc import Sequence
from dataclasses import dataclass

from serving.captioning.compliance import Violation, find_violations
from serving.captioning.post_processing import CaptionDraft, fallback_draft, usable_drafts
from serving.http.schemas import Options
from serving.scheduling.ticket import BatchResult
from snap2caption.post import Request
from snap2caption.text.segmentation import fold


@dataclass(frozen=True, slots=True)
class JudgedDraft:
    """A draft that is safe to publish, what it does not follow, and the results that it is from."""

    draft: CaptionDraft
    violations: tuple[Violation, ...]
    results: Sequence[BatchResult]


@dataclass(frozen=True, slots=True)
class Attempts:
    """One or two attempts at a post."""

    results: list[Sequence[BatchResult]]
    """The results for the photos, for each attempt."""
    drafts: list[JudgedDraft]
    """The usable drafts of all attempts."""

    @property
    def tokens(self) -> int:
        """The number of generated tokens."""
        return sum(result.generated.tokens for results in self.results for result in results)

    @property
    def queue_seconds(self) -> float:
        """How long the post was queued. The photos of a post wait at the same time."""
        return sum(max(result.queue_seconds for result in results) for results in self.results)

    @property
    def generate_seconds(self) -> float:
        """How long the post was generated."""
        return sum(max(result.generate_seconds for result in results) for results in self.results)

    @property
    def first_token_seconds(self) -> float:
        """Seconds to the first token of the first attempt."""
        return min(result.generated.first_token for result in self.results[0])

    def choose(self, options: Options) -> list[JudgedDraft]:
        """Return the drafts to answer with, best first: at least one."""
        return choose(self.drafts, options) or [fall_back(self.results[-1], options)]


def judge(results: Sequence[BatchResult], options: Options, request: Request) -> list[JudgedDraft]:
    """Return the usable drafts in the *results* for the photos of one post, best first; perhaps none.

    Only captions by untrained models are checked for compliance. Trained ones have learned to follow the request, or
    notices say that they have not.
    """
    served = results[0].served
    untrained = served.version is None and served.card.instruction_tuned
    return [
        JudgedDraft(draft, find_violations(draft.caption, options, request) if untrained else (), results)
        for draft in usable_drafts([result.generated for result in results], options)
    ]


def needs_retry(drafts: Sequence[JudgedDraft], options: Options) -> bool:
    """Whether no draft is usable, or one that would be answered does not comply."""
    return not drafts or any(judged.violations for judged in drafts[: options.variants])


def corrections(drafts: Sequence[JudgedDraft], options: Options) -> tuple[str, ...]:
    """Return what to tell the model before its second attempt."""
    violations = (violation for judged in drafts[: options.variants] for violation in judged.violations)
    return tuple(dict.fromkeys(violation.correction for violation in violations))


def choose(drafts: Sequence[JudgedDraft], options: Options) -> list[JudgedDraft]:
    """Return the drafts to answer with: those that follow the most of the request, earlier ones first.

    Captions that repeat another one come last.
    """
    ranked = sorted(drafts, key=lambda judged: len(judged.violations))
    captions = [fold(judged.draft.caption) for judged in ranked]
    repeated = [caption in captions[:at] for at, caption in enumerate(captions)]
    order = sorted(range(len(ranked)), key=repeated.__getitem__)
    return [ranked[at] for at in order[: options.variants]]


def fall_back(results: Sequence[BatchResult], options: Options) -> JudgedDraft:
    """Return the draft of a post without a usable caption."""
    return JudgedDraft(fallback_draft([result.generated for result in results], options), (), results)


def violation_notices(chosen: Sequence[JudgedDraft]) -> list[str]:
    """Return one sentence for everything that the chosen captions do not follow."""
    return [
        f"{'The caption' if len(chosen) == 1 else f'Caption {number}'} {violation.notice}"
        for number, judged in enumerate(chosen, 1)
        for violation in judged.violations
    ]
