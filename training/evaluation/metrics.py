"""How good captions are: BLEU, ROUGE-L and CIDEr-D as the COCO caption evaluation computes them, and whether they can be posted as they are.

The scorers are those of ``pycocoevalcap``. Its tokenizer needs Java, and knows no hashtags and no script but Latin; words are those of
`snap2caption.text.segmentation`: folded, a hashtag as its word, without emoji and punctuation, scripts that write no spaces by the character.
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
    """What can be told of a set of posts without references."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    length: float
    """Words in a post, its hashtags among them, on average."""
    distinct_1: float
    """Different words, as a share of all words of the set. It falls as a set grows: compare sets of like size only."""
    distinct_2: float
    """The same of pairs of words. Source: Li et al., "A Diversity-Promoting Objective Function", NAACL 2016."""
    hashtags_valid: float
    """The share of posts with a valid hashtag, wherever it stands, and no incomplete character. The best five are posted."""
    format_valid: float
    """The share of posts without a fault (`training.evaluation.format_checks`)."""
    tone_adherence: float
    """The share of posts in the tone asked for, as `snap2caption.tone` tells it. A post without prose is in no tone."""


class ReferenceScores(TextScores):
    """Means over a set of posts. BLEU is over the whole set, as it is defined; hashtags are counted over the whole set."""

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
    """What the tone adherence would be if the posts were dealt out at random among all those that were asked for."""
    people: TextScores
    """The same of the references."""
    intervals: dict[str, Interval]
    """Where the scores of other photos of the kind would lie, by `BOOTSTRAP`; not of chance, and not of distinct words, which don't add up.

    Empty: the photos make fewer groups than an interval takes (`training.evaluation.bootstrap.FEWEST`).
    """

    def metrics(self) -> dict[str, float]:
        """Return the scores by name, and the ends of CIDEr's interval, if there is one."""
        found = {name: value for name, value in self if isinstance(value, float)}
        interval = self.intervals.get("cider")
        return found | ({f"cider_{end}": value for end, value in interval} if interval else {})


class _Written(NamedTuple):
    """What adds up of posts without their references."""

    posts: float
    length: float
    hashtags_valid: float
    format_valid: float
    tone_adherence: float


class _Compared(NamedTuple):
    """What adds up of a post beside its references, but for BLEU's counts."""

    rouge_l: float
    cider: float
    tone_chance: float
    hashtags: float
    wanted: float
    hits: float


class Comparison:
    """Posts beside their references, and the scores of any part of them.

    CIDEr weighs a phrase by how rare it is among all *references*, those without a hypothesis among them. So a score on a part of a test
    split can be compared with one on the whole.

    Args:
        hypotheses: what was written, by photo.
        references: what people wrote, one or more, for those photos and maybe others.
        tones: the tone that was asked for, by photo.
        groups: a name that each photo shares with those that are not independent of it; none: all are independent.

    Raises:
        UserError: a photo has no reference, or no reference holds a word.
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
            compared = _Compared(
                rouge_l=rouge.calc_score([words], wanted_words),
                cider=self.cider[key],
                tone_chance=answered[tone] / len(posts),
                hashtags=len(mine),
                wanted=len(theirs),
                hits=len(mine & theirs),
            )
            rows.append([*_written([hypotheses[key]], tone), *compared, *bleu_counts(words, wanted_words)])
            people.append(_written(texts, tone))
        self._rows = np.array(rows, dtype=np.float64)
        self._people = np.array(people, dtype=np.float64)

    def scores(self, keys: Collection[str] | None = None) -> ReferenceScores:
        """Return the scores of the posts named by *keys*, at least one, or of all."""
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
        """Return the scores of each group; *groups* names that of each post, and posts that it leaves out are in none."""
        members: dict[Group, list[str]] = {}
        for key, group in groups.items():
            members.setdefault(group, []).append(key)
        return {group: self.scores(members[group]) for group in sorted(members)}

    def _people_of(self, chosen: Sequence[int]) -> TextScores:
        measures = _writing(self._people[chosen].sum(axis=0))
        texts = (text for position in chosen for text in self._reference_words[position])
        return TextScores(**{name: float(value) for name, value in measures.items()}, **_distinct(texts))


def _written(texts: Sequence[str], tone: Tone) -> _Written:
    posts = [parse(text) for text in texts]
    prompt = build_prompt(Request(tone=tone))
    return _Written(
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


def _writing(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return the means, each of shape (…), of what adds up of posts, of shape (…, columns)."""
    column = dict(zip(_Written._fields, np.moveaxis(sums, -1, 0), strict=True))
    posts = column.pop("posts")
    return {name: total / posts for name, total in column.items()}


def _measures(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return all scores that come of sums, each of shape (…), for *sums* of shape (…, columns)."""
    own, rest, counts = np.split(sums, [len(_Written._fields), -COUNTS], axis=-1)
    column = dict(zip(_Compared._fields, np.moveaxis(rest, -1, 0), strict=True))
    posts, bleus = own[..., 0], bleu(counts)
    return _writing(own) | {
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
        raise UserError("No reference holds a word; give references that do.")
    scorer = CiderScorer()
    for key, texts in references.items():
        scorer += (hypotheses.get(key, ""), texts)
    _, scores = scorer.compute_score()
    return {key: float(score) for key, score in zip(references, scores, strict=True) if key in hypotheses}
