"""What the API takes and answers."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from snap2caption.post import Request, Tone

_Short = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]*$")
]


class Options(BaseModel):
    """What a creator can ask for beside the photo."""

    model_config = ConfigDict(extra="forbid")

    tone: Tone | None = Field(default=None, description="The tone of voice.", examples=["playful"])
    location: _Short | None = Field(default=None, description="Where the photo was taken.", examples=["Pier 39"])
    language: _Short | None = Field(default=None, description="Of the caption.", examples=["English"])
    length: _Short | None = Field(default=None, description="In words, such as short or long.", examples=["short"])
    hashtags: int = Field(default=8, ge=1, le=30, description="How many; the best come first. Instagram shows 5.")
    variants: int = Field(default=1, ge=1, le=4, description="How many captions to choose from.")
    seed: int | None = Field(
        default=None, ge=0, lt=2**31, description="Another seed, another caption; none: the likeliest."
    )
    stream: bool = Field(
        default=False, description="Answer server-sent events: token (text as it is written), then answer or error."
    )

    def request(self) -> Request:
        """Return what goes into the prompt."""
        return Request(tone=self.tone, location=self.location, language=self.language, length=self.length)


class CaptionRequest(Options):
    """The body as JSON."""

    image: str = Field(
        description="The photo (JPEG, PNG or WebP) in base64, or as a data: URL.", examples=["/9j/4AAQSkZJRg…"]
    )


class Variant(BaseModel):
    """One caption with its hashtags, best first."""

    caption: str = Field(examples=["Golden hour on the Golden Gate ✨"])
    hashtags: list[str] = Field(examples=[["#goldengate", "#sanfrancisco", "#sunset"]])


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

    alt_text: str = Field(description="For people who can't see the photo.")
    variants: list[Variant]
    request_id: str
    model_version: str = Field(examples=["snap2caption/3"])
    timing: Timing


class Readiness(BaseModel):
    """Which model answers."""

    model_version: str
