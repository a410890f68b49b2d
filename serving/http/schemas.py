"""Request and response schemas of the caption and voice routes."""

from collections import Counter
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, computed_field, model_validator

from serving.engines.base import MAX_VARIANTS
from snap2caption.feedback import MAX_CAPTION, MAX_HASHTAGS
from snap2caption.hashtags import unique
from snap2caption.hashtags.ranking import HashtagSource, RankedHashtag
from snap2caption.post import MOST_HASHTAGS, Emoji, Length, Post, Request, Tone, paste
from snap2caption.text.language import english_name, find_language
from snap2caption.tone import infer_tone

MAX_PHOTOS = 10
"""Photos of one post."""

MAX_VOICE = 10
"""Captions to imitate in one request."""

MOST_ALT_TEXT = 1000
"""Characters of an alt text that Instagram's publishing API accepts."""

MAX_VOICE_IN_PROMPT = 3
"""Captions to imitate that go into the prompt: each costs time, and three are enough to convey a voice."""

_Short = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]*\S[^\x00-\x1f]*$"),
]
_Caption = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_CAPTION, pattern=r"\S")]
_Hashtag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=101, pattern=r"\S")]


Encoded = Annotated[str, Field(json_schema_extra={"format": "byte", "contentEncoding": "base64"})]
"""A photo in base64 or as a data: URL."""


def _language(text: str) -> str:
    tag = find_language(text)
    if tag is None:
        raise ValueError(f"{text!r} is not a language; use a language's name, such as German, or its tag, such as de")
    return tag


class Part(StrEnum):
    """A part of a post that can be regenerated."""

    CAPTION = "caption"
    HASHTAGS = "hashtags"


class Options(BaseModel):
    """Options of a caption request, in addition to the photos."""

    model_config = ConfigDict(extra="forbid")

    tone: Tone | None = Field(default=None, description="Tone of voice.", examples=["playful"])
    voice: list[_Caption] | None = Field(
        default=None,
        max_length=MAX_VOICE,
        description="Captions to imitate, the most typical first, instead of the saved ones (/v1/voice). An empty "
        "list: imitate none.",
        examples=[["Coffee first, city second."]],
    )
    location: _Short | None = Field(default=None, description="Where the photo was taken.", examples=["Pier 39"])
    language: Annotated[_Short, AfterValidator(_language)] | None = Field(
        default=None,
        description="Language of the caption: its English name, its own name, or its BCP 47 tag.",
        examples=["German", "Deutsch", "de", "pt-BR"],
    )
    length: Length | None = Field(
        default=None,
        description="Length of the caption. Words at most: "
        f"{', '.join(f'{length.value} {length.words}' for length in Length)}.",
    )
    emoji: Emoji | None = Field(
        default=None,
        description="Emoji in the caption. none: none; some: at most three; many: as many as the model likes.",
    )
    hashtags: int = Field(
        default=8,
        ge=1,
        le=30,
        description="Maximum number of hashtags; fewer are returned if no more fit. "
        f"The best {MOST_HASHTAGS} go into the post, the others are suggestions.",
    )
    explain: bool = Field(default=False, description="Explain why each hashtag was chosen.")
    variants: int = Field(default=1, ge=1, le=MAX_VARIANTS, description="Number of captions to choose from.")
    seed: int | None = Field(
        default=None,
        ge=0,
        lt=2**31,
        description="Random seed; each seed gives another caption. null: the most likely caption.",
    )
    stream: bool = Field(
        default=False,
        description="Answer with server-sent events: token (text as it is generated), then answer or error.",
    )
    hint: _Short | None = Field(default=None, description="What to mention or change.", examples=["mention the fog"])
    regenerate: Part | None = Field(
        default=None,
        description="Regenerate only this part of an earlier post; the other part stays as it was.",
        examples=["hashtags"],
    )
    earlier_caption: _Caption | None = Field(
        default=None, description="Caption of the earlier post that `regenerate` applies to."
    )
    earlier_hashtags: list[_Hashtag] = Field(
        default=[], max_length=MAX_HASHTAGS, description="Hashtags of the earlier post that `regenerate` applies to."
    )

    keep_for_feedback: bool = Field(
        default=False,
        description="Keep the caption and the first photo for a limited time, so that feedback can refer to this "
        "request.",
    )

    @model_validator(mode="after")
    def _check_earlier(self) -> Self:
        if self.regenerate and self.earlier_caption is None:
            raise ValueError("regenerate needs the earlier post; send earlier_caption and earlier_hashtags")
        return self

    def request(self, saved: tuple[str, ...] = ()) -> Request:
        """Return what goes into the prompt. *saved* are the creator's saved captions, the newest first."""
        voice = (saved if self.voice is None else tuple(self.voice))[:MAX_VOICE_IN_PROMPT]
        # Without an explicit tone, use the most frequent tone of the captions to imitate.
        tones = Counter(map(infer_tone, voice)).most_common(1)
        earlier = Post(self.earlier_caption) if self.earlier_caption and self.regenerate is Part.CAPTION else None
        return Request(
            tone=self.tone or (tones[0][0] if tones else None),
            location=self.location,
            language=english_name(self.language) if self.language else None,
            length=self.length,
            emoji=self.emoji,
            voice=voice,
            hint=self.hint,
            earlier=earlier,
        )


class CaptionRequest(Options):
    """JSON body of a caption request: the options and the photos."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                {
                    "anyOf": [
                        {"properties": {"regenerate": {"type": "null"}}},
                        {"properties": {"earlier_caption": {"type": "string"}}, "required": ["earlier_caption"]},
                    ]
                },
                {
                    "oneOf": [
                        {"properties": {"image": {"type": "string"}, "images": {"maxItems": 0}}, "required": ["image"]},
                        {"properties": {"image": {"type": "null"}, "images": {"minItems": 1}}, "required": ["images"]},
                    ]
                },
            ]
        }
    )

    image: Encoded | None = Field(
        default=None, description="The photo (JPEG, PNG, WebP, GIF, HEIC or AVIF) in base64 or as a data: URL."
    )
    images: list[Encoded] = Field(
        default=[], max_length=MAX_PHOTOS, description="The photos of one post in their order, instead of `image`."
    )

    @model_validator(mode="after")
    def _check_photos(self) -> Self:
        if (self.image is None) == (not self.images):
            raise ValueError("send one photo in image, or several photos of one post in images")
        return self

    @property
    def photos(self) -> list[str]:
        """The photos, encoded in base64."""
        return [self.image] if self.image is not None else self.images


class Explanation(BaseModel):
    """Why a hashtag was chosen."""

    hashtag: str = Field(examples=["#goldengate"])
    source: HashtagSource
    why: str = Field(examples=["Often used with #sanfrancisco, known well enough to be looked for."])
    relevance: float = Field(description="How likely the hashtag fits the photo, from 0 to 1.")
    reach: float | None = Field(
        description="How often the hashtag is used, from 0 (never) to 1 (most used), on a logarithmic scale; null: "
        "unknown, because there is no corpus."
    )

    @classmethod
    def of(cls, ranked: RankedHashtag) -> "Explanation":
        """Return the explanation of a ranked hashtag."""
        return cls(
            hashtag=f"#{ranked.tag}",
            source=ranked.source,
            why=ranked.why,
            relevance=round(ranked.relevance, 3),
            reach=None if ranked.reach is None else round(ranked.reach, 3),
        )


class Variant(BaseModel):
    """One caption with its hashtags."""

    caption: str = Field(examples=["Golden hour on the Golden Gate ✨"])
    hashtags: list[str] = Field(
        description=f"Ranked, the best first. From rank {MOST_HASHTAGS + 1} on they are suggestions: Instagram accepts "
        f"{MOST_HASHTAGS} per post.",
        examples=[["#goldengate", "#sanfrancisco", "#sunset"]],
    )
    explanations: list[Explanation] | None = Field(
        default=None, description="Explanations of the hashtags, in the same order, if `explain` was set."
    )

    @computed_field(  # type: ignore[prop-decorator]
        description="Ready to paste: the caption, a blank line, and the best hashtags. The post has at most "
        f"{MOST_HASHTAGS} hashtags, including those in the caption.",
        examples=["Golden hour on the Golden Gate ✨\n\n#goldengate #sanfrancisco #sunset"],
    )
    @property
    def post(self) -> str:
        """The caption with its best hashtags, within Instagram's limit."""
        return paste(Post(self.caption, tuple(unique(self.hashtags))))


class Timing(BaseModel):
    """Milliseconds spent on the stages of a request."""

    decode: float
    queue: float
    first_token: float
    """From the end of the queue to the first token; part of ``generate``."""
    generate: float
    hashtags: float
    total: float


class CaptionAnswer(Variant):
    """The first variant at the top level, and the list of all variants."""

    alt_text: str = Field(
        description="Description of the first photo for people who can't see it. It does not repeat a caption.",
        max_length=MOST_ALT_TEXT,
    )
    alt_texts: list[str] = Field(description="Alt texts of all photos, in their order.")
    variants: list[Variant]
    notices: list[str] = Field(
        description="What could not be done as requested, one plain sentence each.",
        examples=[["The answer has 2 of 3 variants: the others repeat a caption, or are not safe to publish."]],
    )
    request_id: str
    model_version: str = Field(examples=["snap2caption/3"])
    confidence: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Mean probability that the model assigned to the tokens of the first caption as it generated them; "
        "null: unknown. It shows how predictable the text was to the model, not how likely it is true of the photo, "
        "and is not calibrated: a wrong caption may have a higher confidence than a right one.",
    )
    timing: Timing


class Voice(BaseModel):
    """A creator's saved captions, the newest first. New captions imitate them."""

    model_config = ConfigDict(extra="forbid")

    captions: list[_Caption] = Field(max_length=50, examples=[["Coffee first, city second."]])
