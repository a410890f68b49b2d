"""How good captions are: BLEU, ROUGE-L and CIDEr-D as the COCO caption evaluation computes them, and how good their hashtags are.

The scorers are those of ``pycocoevalcap``. Its tokenizer needs Java and knows no hashtags, so ours is a simple one, see `tokenise`.
"""

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from pycocoevalcap.bleu.bleu_scorer import BleuScorer
from pycocoevalcap.cider.cider_scorer import CiderScorer
from pycocoevalcap.rouge.rouge import Rouge
from pydantic import BaseModel, ConfigDict

from snap2caption.errors import UserError
from snap2caption.post import parse

ENOUGH_HASHTAGS = 5
"""A post with so many valid hashtags, each once, has enough of them."""

_WORD = re.compile(r"\w+(?:['’]\w+)*")


class Scores(BaseModel):
    """Means over a set of captions. BLEU is over the whole set, as it is defined; hashtags are counted over the whole set."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    samples: int
    bleu_1: float
    bleu_2: float
    bleu_3: float
    bleu_4: float
    rouge_l: float
    cider: float
    length: float
    """Words in a caption, its hashtags among them."""
    hashtag_precision: float
    hashtag_recall: float
    hashtag_f1: float
    hashtags_valid: float
    """The share of captions with `ENOUGH_HASHTAGS`."""

    def metrics(self) -> dict[str, float]:
        """Return the scores by name."""
        return {name: float(value) for name, value in self if name != "samples"}


def tokenise(text: str) -> list[str]:
    """Return the words of *text*: NFKC, case folded; a hashtag counts as its word; emoji and punctuation are left out."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


class Comparison:
    """Captions beside their references, and the scores of any part of them.

    CIDEr weighs a phrase by how rare it is among all *references*, those without a hypothesis among them. So a score on a part of a test
    split can be compared with one on the whole.
    """

    def __init__(self, hypotheses: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> None:
        if missing := sorted(hypotheses.keys() - references.keys()):
            raise UserError(f"There is no reference for {missing[0]!r}; give one for each hypothesis.")
        self.hypotheses = dict(hypotheses)
        self.references = {key: list(references[key]) for key in hypotheses}
        self._words = {key: " ".join(tokenise(text)) for key, text in hypotheses.items()}
        reference_words = {key: [" ".join(tokenise(text)) for text in texts] for key, texts in references.items()}
        self._reference_words = {key: reference_words[key] for key in hypotheses}
        self.cider = _cider(self._words, reference_words)
        rouge = Rouge()
        self.rouge_l = {
            key: float(rouge.calc_score([words], self._reference_words[key])) for key, words in self._words.items()
        }

    def scores(self, keys: Collection[str] | None = None) -> Scores:
        """Return the scores of the captions named by *keys*, or of all."""
        chosen = list(self.hypotheses if keys is None else keys)
        bleu = BleuScorer(n=4)
        for key in chosen:
            bleu += (self._words[key], self._reference_words[key])
        bleus, _ = bleu.compute_score(option="closest")
        precision, recall, f1, valid = self._hashtags(chosen)
        return Scores(
            samples=len(chosen),
            bleu_1=bleus[0],
            bleu_2=bleus[1],
            bleu_3=bleus[2],
            bleu_4=bleus[3],
            rouge_l=float(np.mean([self.rouge_l[key] for key in chosen])),
            cider=float(np.mean([self.cider[key] for key in chosen])),
            length=float(np.mean([len(self._words[key].split()) for key in chosen])),
            hashtag_precision=precision,
            hashtag_recall=recall,
            hashtag_f1=f1,
            hashtags_valid=valid,
        )

    def _hashtags(self, keys: Sequence[str]) -> tuple[float, float, float, float]:
        written, wanted, hits, valid = 0, 0, 0, 0
        for key in keys:
            mine = set(parse(self.hypotheses[key]).hashtags)
            theirs = {tag for text in self.references[key] for tag in parse(text).hashtags}
            written, wanted, hits = written + len(mine), wanted + len(theirs), hits + len(mine & theirs)
            valid += len(mine) >= ENOUGH_HASHTAGS
        precision = hits / written if written else 0.0
        recall = hits / wanted if wanted else 0.0
        f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
        return precision, recall, f1, valid / len(keys)


def _cider(hypotheses: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> dict[str, float]:
    if not any(text for texts in references.values() for text in texts):
        raise UserError("No reference holds a word; give references that do.")
    scorer = CiderScorer()
    for key, texts in references.items():
        scorer += (hypotheses.get(key, ""), texts)
    _, scores = scorer.compute_score()
    return {key: float(score) for key, score in zip(references, scores, strict=True) if key in hypotheses}
