"""The post format, shared by training and serving.

This module builds the prompt, renders a post to the training target, and parses model output. Training and serving
both use it, so that they can't diverge.
"""

from dataclasses import dataclass
from enum import StrEnum

from snap2caption import hashtags
from snap2caption.text.chat_markup import without_markup
from snap2caption.text.segmentation import find_emoji, find_words

DESCRIBE_PROMPT = "Describe this photo in one sentence."
"""The prompt for the alt text, which the base model answers without the adapter."""

MOST_CHARACTERS = 2200
"""The longest post that Instagram accepts, in code points."""

MOST_HASHTAGS = 5
"""The most hashtags that Instagram accepts since December 2025, in the caption and comments together."""

SOME_EMOJI = 3
"""The most emoji in a caption that has some."""


class Tone(StrEnum):
    """The tone of voice a creator can ask for."""

    PLAYFUL = "playful"
    INSPIRATIONAL = "inspirational"
    MINIMAL = "minimal"
    PROFESSIONAL = "professional"
    WITTY = "witty"


class Length(StrEnum):
    """The length of a caption."""

    SHORT = "short"
    MEDIUM = "medium"
    LONG = "long"

    @property
    def words(self) -> int:
        """The most words of the caption (`find_words`), without its hashtags. Instagram shows some 20 before "more"."""
        return {Length.SHORT: 12, Length.MEDIUM: 30, Length.LONG: 60}[self]

    @classmethod
    def of(cls, caption: str) -> "Length":
        """Return the shortest length that *caption* fits, or the longest length if it fits none."""
        return next((length for length in cls if len(find_words(caption)) <= length.words), cls.LONG)


class Emoji(StrEnum):
    """The number of emoji in a caption."""

    NONE = "none"
    SOME = "some"
    MANY = "many"

    @classmethod
    def of(cls, caption: str) -> "Emoji":
        """Return the category for the number of emoji in *caption*."""
        count = len(find_emoji(caption))
        return cls.NONE if count == 0 else cls.SOME if count <= SOME_EMOJI else cls.MANY


@dataclass(frozen=True, slots=True)
class Post:
    """A caption, its hashtags and its alt text.

    The hashtags are in normal form, without ``#``, best first. The alt text is for people who can't see the photo.
    """

    caption: str
    hashtags: tuple[str, ...] = ()
    alt_text: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A creator's request, apart from the photo. A field that is not set adds no line to the prompt."""

    tone: Tone | None = None
    location: str | None = None
    language: str | None = None
    length: Length | None = None
    emoji: Emoji | None = None
    voice: tuple[str, ...] = ()
    """Captions by the creator to imitate, the most relevant first."""
    hint: str | None = None
    """What to mention or change."""
    earlier: Post | None = None
    """An earlier result that must not be repeated."""
    corrections: tuple[str, ...] = ()
    """What a first reply got wrong, as instructions. Only prompts for untrained models have them."""


def build_prompt(request: Request) -> str:
    """Return the instruction for the photo.

    Each user input takes one line, and is plain text without chat markup (`without_markup`).
    """
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
    """Return the text that a model learns to write for *post*: the caption, and a line of hashtags."""
    tags = " ".join(f"#{tag}" for tag in post.hashtags)
    return "\n".join(part for part in (post.caption.strip(), tags) if part)


def paste(post: Post) -> str:
    """Return *post* as text for Instagram: the caption, a blank line, and its best hashtags.

    The text has at most `MOST_HASHTAGS` hashtags, including those in the caption, and at most `MOST_CHARACTERS`
    characters: hashtags that don't fit are dropped. A caption that is too long by itself stays unchanged.
    """
    caption = post.caption.strip()
    inline = hashtags.extract(caption)
    best = [f"#{tag}" for tag in post.hashtags if tag not in inline][: max(0, MOST_HASHTAGS - len(inline))]
    texts = ("\n\n".join(filter(None, (caption, " ".join(best[:number])))) for number in range(len(best), -1, -1))
    return next((text for text in texts if len(text) <= MOST_CHARACTERS), caption)


def parse(text: str) -> Post:
    """Parse model output into a post. ``parse(render(post))`` is *post* with its hashtags in normal form."""
    caption, tags = hashtags.separate(text)
    return Post(caption=caption, hashtags=tuple(tags))
