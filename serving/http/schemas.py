"""What the API takes and answers."""

from collections import Counter
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, computed_field, model_validator

from serving.engines.base import MAX_VARIANTS
from serving.models.trust import DistrustReason
from snap2caption.feedback import MAX_CAPTION, MAX_HASHTAGS
from snap2caption.hashtags import unique
from snap2caption.hashtags.ranking import HashtagSource, RankedHashtag
from snap2caption.post import MOST_HASHTAGS, Emoji, Length, Post, Request, Tone, paste
from snap2caption.text.language import english_name, find_language
from snap2caption.tone import infer_tone

MAX_PHOTOS = 10
"""Photos of one post."""

MAX_VOICE = 10
"""Captions to write like that a request may bring."""

MOST_ALT_TEXT = 1000
"""Characters of an alt text that Instagram's publishing API takes."""

MOST_TOLD = 3
"""Captions to write like that go into the prompt: each costs time, and three tell a voice."""

_Short = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]*\S[^\x00-\x1f]*$"),
]
_Caption = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_CAPTION, pattern=r"\S")]
_Hashtag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=101, pattern=r"\S")]


Encoded = Annotated[str, Field(json_schema_extra={"format": "byte", "contentEncoding": "base64"})]
"""A photo in base64, or as a data: URL."""


def _language(text: str) -> str:
    tag = find_language(text)
    if tag is None:
        raise ValueError(f"{text!r} is no language; give a language's name, such as German, or its tag, such as de")
    return tag


class Part(StrEnum):
    """A part of a post that can be written again."""

    CAPTION = "caption"
    HASHTAGS = "hashtags"


class Options(BaseModel):
    """What a creator can ask for beside the photo."""

    model_config = ConfigDict(extra="forbid")

    tone: Tone | None = Field(default=None, description="The tone of voice.", examples=["playful"])
    voice: list[_Caption] | None = Field(
        default=None,
        max_length=MAX_VOICE,
        description="Captions to write like, the most telling first, in place of the saved ones (/v1/voice); an empty list: in no voice.",
        examples=[["Coffee first, city second."]],
    )
    location: _Short | None = Field(default=None, description="Where the photo was taken.", examples=["Pier 39"])
    language: Annotated[_Short, AfterValidator(_language)] | None = Field(
        default=None,
        description="Of the caption: a language's English name, its own name, or its BCP 47 tag.",
        examples=["German", "Deutsch", "de", "pt-BR"],
    )
    length: Length | None = Field(
        default=None,
        description=f"Of the caption, in words at most: {', '.join(f'{length.value} {length.words}' for length in Length)}.",
    )
    emoji: Emoji | None = Field(default=None, description="none: none at all; some: three at most; many: as it likes.")
    hashtags: int = Field(
        default=8,
        ge=1,
        le=30,
        description=f"How many at most; fewer come where no more suit. The best {MOST_HASHTAGS} go into the post, the rest are suggestions.",
    )
    explain: bool = Field(default=False, description="Say of each hashtag why it was chosen.")
    variants: int = Field(default=1, ge=1, le=MAX_VARIANTS, description="How many captions to choose from.")
    seed: int | None = Field(
        default=None, ge=0, lt=2**31, description="Another seed, another caption; none: the likeliest."
    )
    stream: bool = Field(
        default=False, description="Answer server-sent events: token (text as it is written), then answer or error."
    )
    hint: _Short | None = Field(default=None, description="What to mention or to change.", examples=["mention the fog"])
    regenerate: Part | None = Field(
        default=None, description="Write only this again; the other part stays as it was.", examples=["hashtags"]
    )
    earlier_caption: _Caption | None = Field(
        default=None, description="The post to write a part of again: its caption."
    )
    earlier_hashtags: list[_Hashtag] = Field(
        default=[], max_length=MAX_HASHTAGS, description="The post to write a part of again: its hashtags."
    )

    keep_for_feedback: bool = Field(
        default=False,
        description="Keep the caption and the first photo for a while, so that feedback can refer to this request.",
    )

    @model_validator(mode="after")
    def _check_earlier(self) -> Self:
        if self.regenerate and self.earlier_caption is None:
            raise ValueError("regenerate needs the earlier post; send earlier_caption and earlier_hashtags")
        return self

    def request(self, saved: tuple[str, ...] = ()) -> Request:
        """Return what goes into the prompt; *saved* are the creator's captions, the newest first."""
        voice = (saved if self.voice is None else tuple(self.voice))[:MOST_TOLD]
        # Who asks for no tone means that of their captions.
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
    """The body as JSON."""

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
        default=None, description="The photo (JPEG, PNG, WebP, GIF, HEIC or AVIF) in base64, or as a data: URL."
    )
    images: list[Encoded] = Field(
        default=[], max_length=MAX_PHOTOS, description="The photos of one post, in place of `image`, in their order."
    )

    @model_validator(mode="after")
    def _check_photos(self) -> Self:
        if (self.image is None) == (not self.images):
            raise ValueError("send one photo in image, or several of one post in images")
        return self

    @property
    def photos(self) -> list[str]:
        """The photos, encoded."""
        return [self.image] if self.image is not None else self.images


class Explanation(BaseModel):
    """Why a hashtag was chosen."""

    hashtag: str = Field(examples=["#goldengate"])
    source: HashtagSource
    why: str = Field(examples=["Often used with #sanfrancisco, known well enough to be looked for."])
    relevance: float = Field(description="How likely it suits the photo, 0 to 1.")
    reach: float = Field(
        description="How much it is used, 0 (never) to 1 (the most used of all), on a logarithmic scale."
    )

    @classmethod
    def of(cls, ranked: RankedHashtag) -> "Explanation":
        """Return the reason of a ranked hashtag."""
        return cls(
            hashtag=f"#{ranked.tag}",
            source=ranked.source,
            why=ranked.why,
            relevance=round(ranked.relevance, 3),
            reach=round(ranked.reach, 3),
        )


class Variant(BaseModel):
    """One caption with its hashtags."""

    caption: str = Field(examples=["Golden hour on the Golden Gate ✨"])
    hashtags: list[str] = Field(
        description=f"Ranked, the best first. From rank {MOST_HASHTAGS + 1} on they are suggestions: Instagram takes {MOST_HASHTAGS} a post.",
        examples=[["#goldengate", "#sanfrancisco", "#sunset"]],
    )
    explanations: list[Explanation] | None = Field(
        default=None, description="Of the hashtags, in their order, if asked for."
    )

    @computed_field(  # type: ignore[prop-decorator]
        description=f"Ready to paste: the caption, a blank line, and the best hashtags, {MOST_HASHTAGS} at most with those in the caption.",
        examples=["Golden hour on the Golden Gate ✨\n\n#goldengate #sanfrancisco #sunset"],
    )
    @property
    def post(self) -> str:
        """The caption with its best hashtags, as Instagram takes it."""
        return paste(Post(self.caption, tuple(unique(self.hashtags))))


class Timing(BaseModel):
    """Milliseconds spent on the stages of a request."""

    decode: float
    queue: float
    first_token: float
    """From the photo's turn to the first token; part of ``generate``."""
    generate: float
    hashtags: float
    total: float


class CaptionAnswer(Variant):
    """The first variant, and all of them."""

    alt_text: str = Field(
        description="For people who can't see the photo; of several photos, the first one's. It does not repeat a caption.",
        max_length=MOST_ALT_TEXT,
    )
    alt_texts: list[str] = Field(description="The same of each photo.")
    variants: list[Variant]
    notices: list[str] = Field(
        description="What could not be done as asked, a plain sentence each.",
        examples=[["Only 2 of 3 variants are told: the others were not fit to be posted."]],
    )
    request_id: str
    model_version: str = Field(examples=["snap2caption/3"])
    confidence: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="The mean probability that the model gave to the tokens of the first caption as it wrote them; null: not known. It says how "
        "predictable the text was to the model, not how likely it is true of the photo, and is not calibrated: a wrong caption may have more "
        "than a right one.",
    )
    timing: Timing


class Voice(BaseModel):
    """A creator's captions that later ones are written like, the newest first."""

    model_config = ConfigDict(extra="forbid")

    captions: list[_Caption] = Field(max_length=50, examples=[["Coffee first, city second."]])


class Worker(BaseModel):
    """The thread that writes captions."""

    alive: bool
    silent_seconds: float = Field(description="How long the model has been at one token, or at reading a batch.")


class Queue(BaseModel):
    """The photos that are waiting or being written about."""

    inside: int
    capacity: int
    expected_wait_seconds: float
    overloaded: bool = Field(description="Whether a further request would be refused with 503 now.")


class Following(BaseModel):
    """The registry, which says what model is to be in service; while it is away, the one in service answers."""

    reachable: bool = Field(description="Whether it answered when it was last asked.")
    last_contact_seconds: float | None = Field(description="How long ago it answered last; null: not since the start.")


class Refused(BaseModel):
    """The registry's champion, which was not taken into service: another one stays there, and it is tried again."""

    version: int
    reason: DistrustReason = Field(
        description="tags: what the registry says of it makes no model; base: its base is not one that may be loaded; digest: its adapter is "
        "not the one that was promoted; signature: it is not signed as this version by the key that it must be; broken: it can't be fetched "
        "or loaded, or writes no caption. The log says more."
    )


class Hashtags(BaseModel):
    """The corpus's table that hashtags are chosen by; while its store is away, the last one that was read is used."""

    known: int = Field(description="How many hashtags it has. 0: none could be had, and general ones are answered.")
    version: str | None = Field(
        description="The dataset version that it is of; null: that which the model learned from, as no newer one was found."
    )
    reachable: bool = Field(description="Whether the newest version's could be had when it was last looked for.")
    last_contact_seconds: float | None = Field(description="How long ago it last could; null: not since the start.")


class Waiting(BaseModel):
    """What waits on the disk for the store of feedback, when it was last looked at."""

    feedback: int
    erasures: int
    oldest_seconds: float


class Degraded(StrEnum):
    """What does not work as it should, though captions are written."""

    REGISTRY = "registry"
    """It is away: new models are not followed."""
    CHAMPION = "champion"
    """The registry's champion was refused: another model stays in service."""
    HASHTAGS = "hashtags"
    """The store of the datasets is away: no new hashtags are known, or none of the corpus at all."""


class Condition(BaseModel):
    """How the service is."""

    degraded: list[Degraded] = Field(
        description="What does not work as it should, though captions are written: the registry or the hashtags' store is away, or the "
        "champion was refused."
    )

    worker: Worker
    queue: Queue
    registry: Following | None = Field(description="null: no registry is followed.")
    champion_refused: Refused | None = Field(
        description="null: the registry's champion is in service, or there is none."
    )
    hashtags: Hashtags | None = Field(description="null: no model is in service, or no datasets are followed.")
    feedback: Waiting | None = Field(description="null: no feedback is taken, or nobody has looked yet.")


class Readiness(Condition):
    """Which model answers, and how the service is. A refusal has the same fields, but for the model."""

    model_version: str = Field(examples=["snap2caption/3"])
