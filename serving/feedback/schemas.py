"""What the feedback routes take and answer."""

import unicodedata
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.config import JsonDict

from serving.http.schemas import Encoded
from snap2caption import hashtags
from snap2caption.feedback import MAX_CAPTION, MAX_HASHTAGS, Reason, Words
from snap2caption.post import Tone
from snap2caption.text.incomplete_characters import REPLACEMENT


def _plain(text: str) -> str:
    """Return *text* in its composed form, without control characters but line breaks, and without incomplete ones. Doing it again changes nothing."""
    text = unicodedata.normalize("NFC", text.replace(REPLACEMENT, ""))
    return "".join(sign for sign in text if sign == "\n" or unicodedata.category(sign) not in {"Cc", "Cs"}).strip()


_VISIBLE: JsonDict = {"pattern": r"[^\s\x00-\x1f\x7f-\x9f\ufffd]"}
# Counted when they are plain: composing may lengthen a text.
_Caption = Annotated[str, AfterValidator(_plain), Field(max_length=MAX_CAPTION)]
_Hashtags = Annotated[list[Annotated[str, StringConstraints(max_length=200)]], Field(max_length=MAX_HASHTAGS)]
_Place = Annotated[str, AfterValidator(_plain), Field(min_length=1, max_length=100, json_schema_extra=_VISIBLE)]
_Edited = Annotated[_Caption, Field(min_length=1, json_schema_extra=_VISIBLE)]


SAYS_SOMETHING: dict[str, Any] = {
    "anyOf": [
        {"properties": {"rating": {"type": "integer"}}, "required": ["rating"]},
        {"properties": {"reason": {"type": "string"}}, "required": ["reason"]},
        {"properties": {"edited_caption": {"type": "string"}}, "required": ["edited_caption"]},
        {"properties": {"edited_hashtags": {"type": "array"}}, "required": ["edited_hashtags"]},
        {"properties": {"flag": {"const": True}}, "required": ["flag"]},
    ]
}
"""What the API's description says of a `Submission`: something is said with it."""

_ONE_SUBJECT: dict[str, Any] = {
    "oneOf": [
        {"properties": {"image": {"type": "string"}, "request_id": {"type": "null"}}, "required": ["image"]},
        {"properties": {"image": {"type": "null"}, "request_id": {"type": "string"}}, "required": ["request_id"]},
    ]
}


class Submission(BaseModel):
    """One creator's word on one caption: of a request that the service kept (``keep_for_feedback``), or of a photo of their own."""

    model_config = ConfigDict(extra="forbid")

    request_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] | None = Field(
        default=None, description="Of the answer that it is about, if the request had keep_for_feedback."
    )
    variant: int = Field(default=0, ge=0, le=3, description="Which of its variants.")
    caption: _Caption | None = Field(default=None, description="With a photo of your own: the caption that was shown.")
    hashtags: _Hashtags | None = Field(default=None, description="With a photo of your own: the hashtags shown.")
    tone: Tone | None = Field(default=None, description="With a photo of your own: the tone asked for.")
    location: _Place | None = Field(default=None, description="With a photo of your own: where it was taken.")
    edited_caption: _Edited | None = Field(default=None, description="What you made of the caption.")
    edited_hashtags: _Hashtags | None = Field(default=None, description="What you made of the hashtags.")
    rating: int | None = Field(default=None, ge=1, le=5, description="5 is best.")
    reason: Reason | None = Field(default=None, description="What was not good enough.")
    flag: bool = Field(default=False, description="Whether a person should look at it.")

    @model_validator(mode="after")
    def _check_something_said(self) -> Self:
        said = (self.rating, self.reason, self.edited_caption, self.edited_hashtags)
        if all(word is None for word in said) and not self.flag:
            raise ValueError("say something: send rating, edited_caption, edited_hashtags, reason or flag")
        return self

    @property
    def shown(self) -> Words | None:
        """What was shown beside a photo of their own."""
        return None if self.caption is None else words(self.caption, self.hashtags)

    def edited(self, shown: Words | None) -> Words | None:
        """Return what they made of *shown*; None where they changed nothing."""
        if self.edited_caption is None and self.edited_hashtags is None:
            return None
        before = shown or Words(caption="")
        caption = before.caption if self.edited_caption is None else self.edited_caption
        made = words(caption, self.edited_hashtags)
        if self.edited_hashtags is None and not made.hashtags:
            made = Words(caption=made.caption, hashtags=before.hashtags)
        return None if made == shown else made


class SubmissionBody(Submission):
    """The body as JSON."""

    model_config = ConfigDict(json_schema_extra={"allOf": [SAYS_SOMETHING, _ONE_SUBJECT]})

    image: Encoded | None = Field(
        default=None, description="The photo (JPEG, PNG, WebP, GIF, HEIC or AVIF) in base64, or as a data: URL."
    )


class Accepted(BaseModel):
    """Feedback was written to the disk, and comes into the store by itself."""

    id: str = Field(description="With it the feedback can be erased.")


class Erased(BaseModel):
    """Whether every copy is gone. If not, the store is away: the rest is erased as soon as it is back."""

    erased: bool


def words(caption: str, tags: list[str] | None) -> Words:
    """Return a caption and hashtags in the form that is stored: prose, and hashtags in normal form, each once."""
    prose, inside = hashtags.separate(caption)
    return Words(caption=prose, hashtags=tuple(hashtags.unique([*(tags or ()), *inside])[:MAX_HASHTAGS]))
