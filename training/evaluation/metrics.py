"""Caption metrics: BLEU, ROUGE-L and CIDEr-D as in the COCO caption evaluation, hashtags, format and tone.

The scorers are those of ``pycocoevalcap``. Its tokenizer needs Java, and handles neither hashtags nor scripts other
than Latin. So words come from `snap2caption.text.segmentation`: case-folded, a hashtag as its word, without emoji
and punctuation; scripts without spaces are split by character.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from pycocoevalcap.cider.cider_scorer import CiderScorer
from pycocoevalcap.rouge.rouge import Rouge
from pydantic import BaseModel, ConfigDict

from snap2caption.errors import UserError
from snap2caption.post import Post, Request, Tone, build_prompt, parse
from snap2caption.text.incomplete_characters import REPLACEMENT
from snap2caption.text.segmentation import fold_words
from snap2caption.tone import infer_tone
from training.evaluation.bleu import COUNTS, ORDER, bleu, bleu_counts
from training.evaluation.bootstrap import BOOTSTRAP, Interval, ResamplingClusters
from training.evaluation.format_checks import find_faults

Group = TypeVar("Group", bound=str)


class TextScores(BaseModel):
    """Scores of a set of posts that need no references."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    length: float
    """Mean number of words per post, including its hashtags."""
    distinct_1: float
    """Distinct words as a share of all words in the set. It falls as a set grows: compare only sets of similar size."""
    distinct_2: float
    """The same for pairs of words. Source: Li et al., "A Diversity-Promoting Objective Function", NAACL 2016."""
    hashtags_valid: float
    """Share of posts with a valid hashtag, wherever it stands, and no incomplete character. The best five are posted.
    """
    format_valid: float
    """Share of posts without a format violation (`training.evaluation.format_checks`)."""
    tone_adherence: float
    """Share of posts in the requested tone, as inferred by `snap2caption.tone`. A post without prose has no tone."""


class ReferenceScores(TextScores):
    """Means over a set of posts. BLEU and the hashtag scores are computed over the whole set."""

    samples: int
    bleu_1: float
    bleu_2: float
    bleu_3: float
    bleu_4: float
    rouge_l: float
    cider: float
    hashtag_precision: float
    hashtag_recall: float
    hashtag_f1: float
    tone_chance: float
    """Expected tone adherence if the posts were assigned at random to the requests."""
    people: TextScores
    """The same scores of the references."""
    intervals: dict[str, Interval]
    """Confidence intervals by `BOOTSTRAP`: where the scores on other photos of the kind would lie.

    Tone chance has none, nor have distinct words, which do not add up. It is empty if there are too few groups of
    photos for an interval (`training.evaluation.bootstrap.MIN_CLUSTERS`).
    """

    def metrics(self) -> dict[str, float]:
        """Return the scores by name, and the bounds of CIDEr's interval, if there is one."""
        found = {name: value for name, value in self if isinstance(value, float)}
        interval = self.intervals.get("cider")
        return found | ({f"cider_{end}": value for end, value in interval} if interval else {})


class _TextSums(NamedTuple):
    """Additive statistics of posts, without their references."""

    posts: float
    length: float
    hashtags_valid: float
    format_valid: float
    tone_adherence: float


class _ReferenceSums(NamedTuple):
    """Additive statistics of a post compared with its references, except for BLEU's counts."""

    rouge_l: float
    cider: float
    tone_chance: float
    hashtags: float
    wanted: float
    hits: float


class Comparison:
    """Posts compared with their references, and the scores of any subset of them.

    CIDEr weights a phrase by how rare it is among all *references*, including those without a hypothesis. So a
    score on a subset of a test split is comparable with one on the whole split.

    Args:
        hypotheses: the generated texts, by photo.
        references: one or more texts by people, by photo, for those photos and possibly others.
        tones: the requested tones, by photo.
        groups: the name of each photo's group of dependent photos; None if all photos are independent.

    Raises:
        UserError: a photo has no reference, or no reference has a word.
    """

    def __init__(
        self,
        hypotheses: Mapping[str, str],
        references: Mapping[str, Sequence[str]],
        tones: Mapping[str, Tone],
        groups: Mapping[str, str] | None = None,
    ) -> None:
        if missing := sorted(hypotheses.keys() - references.keys()):
            raise UserError(f"There is no reference for {missing[0]!r}; give one for each hypothesis.")
        self._position = {key: position for position, key in enumerate(hypotheses)}
        self._groups = [groups[key] if groups else key for key in hypotheses]
        self._words = [" ".join(fold_words(text)) for text in hypotheses.values()]
        reference_words = {key: [" ".join(fold_words(text)) for text in texts] for key, texts in references.items()}
        self._reference_words = [reference_words[key] for key in hypotheses]
        self.cider = _cider(dict(zip(hypotheses, self._words, strict=True)), reference_words)
        posts = {key: parse(text) for key, text in hypotheses.items()}
        answered = Counter(_tone(post) for post in posts.values())
        rouge = Rouge()
        rows, people = [], []
        for key, words, wanted_words in zip(hypotheses, self._words, self._reference_words, strict=True):
            tone, texts = tones[key], references[key]
            mine = set(posts[key].hashtags)
            theirs = {tag for text in texts for tag in parse(text).hashtags}
            compared = _ReferenceSums(
                rouge_l=rouge.calc_score([words], wanted_words),
                cider=self.cider[key],
                tone_chance=answered[tone] / len(posts),
                hashtags=len(mine),
                wanted=len(theirs),
                hits=len(mine & theirs),
            )
            rows.append([*_text_sums([hypotheses[key]], tone), *compared, *bleu_counts(words, wanted_words)])
            people.append(_text_sums(texts, tone))
        self._rows = np.array(rows, dtype=np.float64)
        self._people = np.array(people, dtype=np.float64)

    def scores(self, keys: Collection[str] | None = None) -> ReferenceScores:
        """Return the scores of the posts in *keys*, at least one, or of all posts."""
        chosen = list(self._position.values()) if keys is None else [self._position[key] for key in keys]
        rows = self._rows[chosen]
        clusters = ResamplingClusters.named([self._groups[position] for position in chosen])
        resampled = _measures(BOOTSTRAP.sums(rows, clusters))
        del resampled["tone_chance"]
        return ReferenceScores(
            samples=len(chosen),
            **{name: float(value) for name, value in _measures(rows.sum(axis=0)).items()},
            **_distinct(self._words[position] for position in chosen),
            people=self._people_of(chosen),
            intervals={
                name: interval
                for name, values in resampled.items()
                if (interval := BOOTSTRAP.interval(values, clusters)) is not None
            },
        )

    def scores_by(self, groups: Mapping[str, Group]) -> dict[Group, ReferenceScores]:
        """Return the scores of each group. *groups* gives each post's group; posts that it lacks belong to no group."""
        members: dict[Group, list[str]] = {}
        for key, group in groups.items():
            members.setdefault(group, []).append(key)
        return {group: self.scores(members[group]) for group in sorted(members)}

    def _people_of(self, chosen: Sequence[int]) -> TextScores:
        measures = _text_means(self._people[chosen].sum(axis=0))
        texts = (text for position in chosen for text in self._reference_words[position])
        return TextScores(**{name: float(value) for name, value in measures.items()}, **_distinct(texts))


def _text_sums(texts: Sequence[str], tone: Tone) -> _TextSums:
    posts = [parse(text) for text in texts]
    prompt = build_prompt(Request(tone=tone))
    return _TextSums(
        posts=len(texts),
        length=sum(len(fold_words(text)) for text in texts),
        hashtags_valid=sum(
            bool(post.hashtags) and REPLACEMENT not in text for post, text in zip(posts, texts, strict=True)
        ),
        format_valid=sum(not find_faults(text, prompt) for text in texts),
        tone_adherence=sum(_tone(post) is tone for post in posts),
    )


def _tone(post: Post) -> Tone | None:
    return infer_tone(post.caption) if post.caption else None


def _text_means(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return the means, each of shape (…), of summed statistics of shape (…, columns)."""
    column = dict(zip(_TextSums._fields, np.moveaxis(sums, -1, 0), strict=True))
    posts = column.pop("posts")
    return {name: total / posts for name, total in column.items()}


def _measures(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return all scores that follow from sums, each of shape (…), for *sums* of shape (…, columns)."""
    own, rest, counts = np.split(sums, [len(_TextSums._fields), -COUNTS], axis=-1)
    column = dict(zip(_ReferenceSums._fields, np.moveaxis(rest, -1, 0), strict=True))
    posts, bleus = own[..., 0], bleu(counts)
    return _text_means(own) | {
        **{f"bleu_{order + 1}": bleus[..., order] for order in range(ORDER)},
        **{name: column[name] / posts for name in ("rouge_l", "cider", "tone_chance")},
        "hashtag_precision": _share(column["hits"], column["hashtags"]),
        "hashtag_recall": _share(column["hits"], column["wanted"]),
        # The harmonic mean of the two.
        "hashtag_f1": _share(2 * column["hits"], column["hashtags"] + column["wanted"]),
    }


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _distinct(texts: Iterable[str]) -> dict[str, float]:
    seen: dict[int, set[tuple[str, ...]]] = {1: set(), 2: set()}
    total = Counter[int]()
    for text in texts:
        words = text.split()
        for size, known in seen.items():
            phrases = list(zip(*(words[start:] for start in range(size)), strict=False))
            known.update(phrases)
            total[size] += len(phrases)
    return {f"distinct_{size}": len(known) / total[size] if total[size] else 0.0 for size, known in seen.items()}


def _cider(hypotheses: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> dict[str, float]:
    if not any(text for texts in references.values() for text in texts):
        raise UserError("No reference has a word; give references with words.")
    scorer = CiderScorer()
    for key, texts in references.items():
        scorer += (hypotheses.get(key, ""), texts)
    _, scores = scorer.compute_score()
    return {key: float(score) for key, score in zip(references, scores, strict=True) if key in hypotheses}
