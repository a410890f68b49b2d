"""Making posts of what the model wrote: usable captions, as asked for, each with its hashtags."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from serving.captioning.profanity import find_unsafe
from serving.captioning.trimming import finish, whole_sentences
from serving.engines.base import GenerationResult
from serving.http.schemas import MOST_ALT_TEXT, Explanation, Options, Part, Variant
from serving.observability.metrics import UNSAFE
from snap2caption.hashtags import unique
from snap2caption.hashtags.ranking import PostContext, rank
from snap2caption.hashtags.table import HashtagTable
from snap2caption.post import Post, parse
from snap2caption.text.segmentation import fold, fold_words
from snap2caption.text.truncation import cut

_NEUTRAL = "A moment worth keeping."
"""The caption where neither what was written nor the description can be shown."""

UNDESCRIBED = "A photo."
"""The alt text where there is none."""

_A_SENTENCE = 4
"""Words that say something."""


@dataclass(frozen=True, slots=True)
class CaptionDraft:
    """A caption that can be posted, and the hashtags that the model wrote at the same time, best first."""

    caption: str
    hashtags: tuple[str, ...]


def drafts(written: Sequence[GenerationResult], options: Options) -> list[CaptionDraft]:
    """Return the usable drafts for the photos of one post, the best first; perhaps none.

    Of several photos, each was captioned alone: a post's caption is the one that has most in common with those of the others (of equals, the
    first photo's), its hashtags those that most photos got. What is empty, not fit to be posted, or what was to be written anew is left out;
    what is there already comes last.
    """
    found: list[CaptionDraft] = []
    again: list[CaptionDraft] = []
    old = {fold(options.earlier_caption)} if options.earlier_caption and options.regenerate is Part.CAPTION else set()
    for texts in zip(*(one.texts for one in written), strict=True):
        posts = [parse(text) for text in texts]
        tags = _together(posts)
        for post in _central(posts):
            caption = finish(post.caption, options.length, options.emoji)
            if not caption or fold(caption) in old or not _is_safe(caption, "caption", options):
                continue
            is_new = all(fold(caption) != fold(draft.caption) for draft in found)
            (found if is_new else again).append(CaptionDraft(caption, tags))
            break
    return [*found, *again]


def plain(written: Sequence[GenerationResult], options: Options) -> CaptionDraft:
    """Return a draft for when the model wrote nothing usable: the first photo in plain words."""
    description = finish(written[0].description, options.length, options.emoji)
    usable = description and _is_safe(description, "caption", options)
    tags = _together([parse(text) for one in written for text in one.texts])
    return CaptionDraft(description if usable else _NEUTRAL, tags)


def compose(draft: CaptionDraft, table: HashtagTable, banned: frozenset[str], options: Options) -> Variant:
    """Return the draft as an answer shows it, with the hashtags asked for, as far as they suit; what is not written again stays as it was."""
    earlier = unique(options.earlier_hashtags)
    caption = draft.caption
    if options.regenerate is Part.CAPTION and earlier:
        return Variant(caption=caption, hashtags=[f"#{tag}" for tag in earlier])
    if options.regenerate is Part.HASHTAGS and options.earlier_caption is not None:
        caption = options.earlier_caption
        banned |= frozenset(earlier)
    subject = PostContext(caption, draft.hashtags, options.location or "", options.hint or "")
    chosen = rank(subject, table, _Unwanted(banned, options.location or ""), options.hashtags)
    return Variant(
        caption=caption,
        hashtags=[f"#{one.tag}" for one in chosen],
        explanations=[Explanation.of(one) for one in chosen] if options.explain else None,
    )


def alt_text(description: str, variants: Sequence[Variant], options: Options) -> str:
    """Return a photo's description in at most `MOST_ALT_TEXT` characters; `UNDESCRIBED` if it can't be shown, or a caption says the same."""
    text = _cut(description, MOST_ALT_TEXT)
    told = any(_repeats(text, variant.caption) for variant in variants)
    return text if text and not told and _is_safe(text, "alt_text", options) else UNDESCRIBED


def _cut(text: str, most: int) -> str:
    """Return the sentences of *text* that fit into *most* characters; of a longer first one, its words."""
    text = text.strip()
    if len(text) <= most:
        return text
    # With what follows: a sentence that ends just there is whole.
    return whole_sentences(text[: most + 1]) or f"{cut(text, lambda beginning: len(beginning) < most)}…"


def _repeats(description: str, caption: str) -> bool:
    """Whether both say the same, or one holds the other whole; a word or two may be in both."""
    short, long = sorted((fold_words(description), fold_words(caption)), key=len)
    held = len(short) >= _A_SENTENCE and f" {' '.join(short)} " in f" {' '.join(long)} "
    return short == long or held


@dataclass(frozen=True, slots=True)
class _Unwanted:
    """The hashtags that must not be chosen: banned ones, and words that are not fit to be posted."""

    banned: frozenset[str]
    said: str

    def __contains__(self, tag: object) -> bool:
        return tag in self.banned or _is_profane(str(tag), self.said)


@lru_cache(maxsize=1 << 12)
def _is_profane(tag: str, said: str) -> bool:
    return bool(find_unsafe(tag, said=said))


def _is_safe(text: str, kind: str, options: Options) -> bool:
    if find_unsafe(text, language=options.language, said=options.location or ""):
        UNSAFE.labels(kind).inc()
        return False
    return True


def _together(posts: Sequence[Post]) -> tuple[str, ...]:
    """Return the hashtags of all posts: those of the most posts first, of equals as the first post that has them ranks them."""
    counts = Counter(tag for post in posts for tag in post.hashtags)
    return tuple(tag for tag, _ in counts.most_common())


def _central(posts: Sequence[Post]) -> list[Post]:
    """Return the posts, those first that have most in common with the others."""
    words = [set(fold_words(post.caption)) | set(post.hashtags) for post in posts]

    def shared(one: int) -> float:
        return sum(len(words[one] & other) / max(1, len(words[one] | other)) for other in words)

    return [posts[one] for one in sorted(range(len(posts)), key=lambda one: (-round(shared(one), 9), one))]
