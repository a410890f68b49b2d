"""Post-processing of generated text: safe captions in the requested form, each with ranked hashtags."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from serving.captioning.trimming import trim
from serving.engines.base import GenerationResult
from serving.http.schemas import MOST_ALT_TEXT, Explanation, Options, Part, Variant
from serving.observability.metrics import CHECKED, UNSAFE
from snap2caption.hashtags import unique
from snap2caption.hashtags.ranking import PostContext, rank
from snap2caption.hashtags.table import HashtagTable
from snap2caption.post import Post, parse
from snap2caption.text.profanity import find_unsafe
from snap2caption.text.segmentation import fold, fold_words
from snap2caption.text.truncation import cut, whole_sentences

_NEUTRAL = "A moment worth keeping."
"""The caption of last resort, if neither a generated caption nor the description is safe to publish."""

UNDESCRIBED = "A photo."
"""The alt text if the description can't be used."""

_MIN_REPEATED_WORDS = 4
"""The shortest sequence of words that counts as a repetition."""


@dataclass(frozen=True, slots=True)
class CaptionDraft:
    """A caption that is safe to publish, and the hashtags that the model generated with it, best first."""

    caption: str
    hashtags: tuple[str, ...]


def usable_drafts(generated: Sequence[GenerationResult], options: Options) -> list[CaptionDraft]:
    """Return the usable drafts for the photos of one post, best first; perhaps none.

    Each photo was captioned alone. The caption of the post is the one that has most in common with the captions of the
    other photos (on a tie, the first photo's); its hashtags are ordered by the number of photos that got them.
    Captions are dropped if they are empty, not safe to publish, or equal to the caption to regenerate. Duplicates of
    other variants come last.
    """
    found: list[CaptionDraft] = []
    duplicates: list[CaptionDraft] = []
    old = {fold(options.earlier_caption)} if options.earlier_caption and options.regenerate is Part.CAPTION else set()
    for texts in zip(*(result.texts for result in generated), strict=True):
        posts = [parse(text) for text in texts]
        tags = _merge_hashtags(posts)
        for post in _by_similarity(posts):
            caption = trim(post.caption, options.length, options.emoji)
            if not caption or fold(caption) in old or not _is_safe(caption, "caption", options):
                continue
            is_new = all(fold(caption) != fold(draft.caption) for draft in found)
            (found if is_new else duplicates).append(CaptionDraft(caption, tags))
            break
    return [*found, *duplicates]


def fallback_draft(generated: Sequence[GenerationResult], options: Options) -> CaptionDraft:
    """Return a draft for a post without a usable caption: the description of the first photo."""
    description = trim(generated[0].description, options.length, options.emoji)
    usable = description and _is_safe(description, "caption", options)
    tags = _merge_hashtags([parse(text) for result in generated for text in result.texts])
    return CaptionDraft(description if usable else _NEUTRAL, tags)


def compose(draft: CaptionDraft, table: HashtagTable, banned: frozenset[str], options: Options) -> Variant:
    """Return the variant of the answer for a draft, with as many of the requested hashtags as suit it.

    The part of an earlier post that is not regenerated is copied.
    """
    earlier = unique(options.earlier_hashtags)
    caption = draft.caption
    if options.regenerate is Part.CAPTION and earlier:
        return Variant(caption=caption, hashtags=[f"#{tag}" for tag in earlier])
    if options.regenerate is Part.HASHTAGS and options.earlier_caption is not None:
        caption = options.earlier_caption
        banned |= frozenset(earlier)
    subject = PostContext(caption, draft.hashtags, options.location or "", options.hint or "")
    chosen = rank(subject, table, _DisallowedHashtags(banned, options.location or ""), options.hashtags)
    return Variant(
        caption=caption,
        hashtags=[f"#{ranked.tag}" for ranked in chosen],
        explanations=[Explanation.of(ranked) for ranked in chosen] if options.explain else None,
    )


def alt_text(description: str, variants: Sequence[Variant], options: Options) -> str:
    """Return a photo's description, cut to `MOST_ALT_TEXT` characters.

    If it is empty, not safe to publish, or repeats a caption, return `UNDESCRIBED`.
    """
    text = _cut_to(description, MOST_ALT_TEXT)
    repeated = any(_repeats(text, variant.caption) for variant in variants)
    return text if text and not repeated and _is_safe(text, "alt_text", options) else UNDESCRIBED


def _cut_to(text: str, most: int) -> str:
    """Return the sentences of *text* that fit into *most* characters. A longer first sentence is cut after a word."""
    text = text.strip()
    if len(text) <= most:
        return text
    # One more character shows whether a sentence ends exactly at the limit.
    return whole_sentences(text[: most + 1]) or f"{cut(text, lambda beginning: len(beginning) < most)}…"


def _repeats(description: str, caption: str) -> bool:
    """Whether both texts are equal, or one contains the other as a whole. Single common words do not count."""
    short, long = sorted((fold_words(description), fold_words(caption)), key=len)
    contained = len(short) >= _MIN_REPEATED_WORDS and f" {' '.join(short)} " in f" {' '.join(long)} "
    return short == long or contained


@dataclass(frozen=True, slots=True)
class _DisallowedHashtags:
    """The hashtags that must not be chosen: banned ones and profanity."""

    banned: frozenset[str]
    creator_text: str

    def __contains__(self, tag: object) -> bool:
        return tag in self.banned or _is_profane(str(tag), self.creator_text)


@lru_cache(maxsize=1 << 12)
def _is_profane(tag: str, creator_text: str) -> bool:
    return bool(find_unsafe(tag, creator_text=creator_text))


def _is_safe(text: str, kind: str, options: Options) -> bool:
    CHECKED.labels(kind).inc()
    if find_unsafe(text, language=options.language, creator_text=options.location or ""):
        UNSAFE.labels(kind).inc()
        return False
    return True


def _merge_hashtags(posts: Sequence[Post]) -> tuple[str, ...]:
    """Return the hashtags of all posts, the most frequent first. Ties keep the order of first occurrence."""
    counts = Counter(tag for post in posts for tag in post.hashtags)
    return tuple(tag for tag, _ in counts.most_common())


def _by_similarity(posts: Sequence[Post]) -> list[Post]:
    """Return the posts, most similar to the others first (by the Jaccard index of words and hashtags)."""
    words = [set(fold_words(post.caption)) | set(post.hashtags) for post in posts]

    def similarity(index: int) -> float:
        return sum(len(words[index] & other) / max(1, len(words[index] | other)) for other in words)

    return [
        posts[index] for index in sorted(range(len(posts)), key=lambda index: (-round(similarity(index), 9), index))
    ]
