"""The shape of a post, in training and in serving.

One module builds the prompt, renders a post to the text that a model learns, and parses what a model wrote. Training and serving both
use it, so that they can't drift apart.
"""

from dataclasses import dataclass
from enum import StrEnum

from snap2caption import hashtags
from snap2caption.text.chat_markup import without_markup
from snap2caption.text.segmentation import find_emoji, find_words

DESCRIBE_PROMPT = "Describe this photo in one sentence."
"""What the base model is asked, without the adapter, for the alt text."""

MOST_CHARACTERS = 2200
"""The longest post that Instagram takes, in code points."""

MOST_HASHTAGS = 5
"""More are not taken by Instagram since December 2025, those of the caption and of comments counted together."""

SOME_EMOJI = 3
"""Emoji of a caption that has some, at most."""


class Tone(StrEnum):
    """The tone of voice a creator can ask for."""

    PLAYFUL = "playful"
    INSPIRATIONAL = "inspirational"
    MINIMAL = "minimal"
    PROFESSIONAL = "professional"
    WITTY = "witty"


class Length(StrEnum):
    """How long a caption is to be."""

    SHORT = "short"
    MEDIUM = "medium"
    LONG = "long"

    @property
    def words(self) -> int:
        """Words of the caption (`find_words`) at most, its hashtags not counted. Instagram shows some 20 before "more"."""
        return {Length.SHORT: 12, Length.MEDIUM: 30, Length.LONG: 60}[self]

    @classmethod
    def of(cls, caption: str) -> "Length":
        """Return the least length that *caption* has room in; the longest, if in none."""
        return next((length for length in cls if len(find_words(caption)) <= length.words), cls.LONG)


class Emoji(StrEnum):
    """How many emoji a caption is to have."""

    NONE = "none"
    SOME = "some"
    MANY = "many"

    @classmethod
    def of(cls, caption: str) -> "Emoji":
        """Return how many emoji *caption* has."""
        count = len(find_emoji(caption))
        return cls.NONE if count == 0 else cls.SOME if count <= SOME_EMOJI else cls.MANY


@dataclass(frozen=True, slots=True)
class Post:
    """A caption, its hashtags best first (normal form, without ``#``), and a description for people who can't see the photo."""

    caption: str
    hashtags: tuple[str, ...] = ()
    alt_text: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What a creator asks for beside the photo. Every field left alone leaves its line out of the prompt."""

    tone: Tone | None = None
    location: str | None = None
    language: str | None = None
    length: Length | None = None
    emoji: Emoji | None = None
    voice: tuple[str, ...] = ()
    """Captions of theirs to write like, the most telling first."""
    hint: str | None = None
    """What to mention or to change."""
    earlier: Post | None = None
    """What was written before, and is not to come again."""


def build_prompt(request: Request) -> str:
    """Return the instruction that goes beside the photo. What people wrote fills a line each, and is text: `without_markup`."""
    lines = ["Write an Instagram caption and hashtags for this photo."]
    if request.tone:
        lines.append(f"Tone: {request.tone.value}.")
    if request.length:
        lines.append(f"Length: {request.length.value}, at most {request.length.words} words.")
    if request.emoji:
        lines.append(f"Emoji: {request.emoji.value}.")
    if request.language:
        lines.append(f"Language: {without_markup(request.language)}.")
    if request.location:
        lines.append(f"Place: {without_markup(request.location)}.")
    if request.voice:
        lines.append("Write as in these captions of mine:")
        lines.extend(f"- {without_markup(caption)}" for caption in request.voice)
    if request.earlier:
        lines.append(f"Write something else than: {without_markup(render(request.earlier))}")
    if request.hint:
        lines.append(f"Wish: {without_markup(request.hint)}")
    return "\n".join(lines)


def render(post: Post) -> str:
    """Return the text that a model learns to write for *post*: the caption, then the hashtags on a line of their own."""
    tags = " ".join(f"#{tag}" for tag in post.hashtags)
    return "\n".join(part for part in (post.caption.strip(), tags) if part)


def paste(post: Post) -> str:
    """Return *post* as it can be pasted into Instagram: the caption, a blank line, and the best of its hashtags.

    With those that the caption itself has, there are `MOST_HASHTAGS` at most, and `MOST_CHARACTERS` in all: hashtags that don't fit are left
    off. A caption that is longer by itself stays as it is.
    """
    caption = post.caption.strip()
    inline = hashtags.extract(caption)
    best = [f"#{tag}" for tag in post.hashtags if tag not in inline][: max(0, MOST_HASHTAGS - len(inline))]
    texts = ("\n\n".join(filter(None, (caption, " ".join(best[:number])))) for number in range(len(best), -1, -1))
    return next((text for text in texts if len(text) <= MOST_CHARACTERS), caption)


def parse(text: str) -> Post:
    """Read a post back from what a model wrote; ``parse(render(post))`` is *post* with its hashtags in normal form."""
    caption, tags = hashtags.separate(text)
    return Post(caption=caption, hashtags=tuple(tags))
