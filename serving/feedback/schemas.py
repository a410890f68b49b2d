"""Request and response schemas of the feedback routes."""

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
    """Return *text* in NFC, without incomplete characters and control characters except line breaks (idempotent)."""
    text = unicodedata.normalize("NFC", text.replace(REPLACEMENT, ""))
    return "".join(char for char in text if char == "\n" or unicodedata.category(char) not in {"Cc", "Cs"}).strip()


_VISIBLE: JsonDict = {"pattern": r"[^\s\x00-\x1f\x7f-\x9f\ufffd]"}
# The length is checked after normalization, because NFC may lengthen a text.
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
"""JSON schema rule of a `Submission`: it has a rating, a reason, an edit or a flag."""

_ONE_SUBJECT: dict[str, Any] = {
    "oneOf": [
        {"properties": {"image": {"type": "string"}, "request_id": {"type": "null"}}, "required": ["image"]},
        {"properties": {"image": {"type": "null"}, "request_id": {"type": "string"}}, "required": ["request_id"]},
    ]
}


class Submission(BaseModel):
    """Feedback on one caption, either of a kept request (``keep_for_feedback``) or of the creator's own photo."""

    model_config = ConfigDict(extra="forbid")

    request_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] | None = Field(
        default=None, description="Id of the caption request, if it had keep_for_feedback."
    )
    variant: int = Field(default=0, ge=0, le=3, description="Index of the variant that the feedback is about.")
    caption: _Caption | None = Field(default=None, description="With your own photo: the caption that was shown.")
    hashtags: _Hashtags | None = Field(default=None, description="With your own photo: the hashtags that were shown.")
    tone: Tone | None = Field(default=None, description="With your own photo: the tone that was requested.")
    location: _Place | None = Field(default=None, description="With your own photo: where it was taken.")
    edited_caption: _Edited | None = Field(default=None, description="The caption after your edit.")
    edited_hashtags: _Hashtags | None = Field(default=None, description="The hashtags after your edit.")
    rating: int | None = Field(default=None, ge=1, le=5, description="Rating from 1 to 5; 5 is best.")
    reason: Reason | None = Field(default=None, description="What was not good enough.")
    flag: bool = Field(default=False, description="Whether a person should review it.")

    @model_validator(mode="after")
    def _check_not_empty(self) -> Self:
        values = (self.rating, self.reason, self.edited_caption, self.edited_hashtags)
        if all(value is None for value in values) and not self.flag:
            raise ValueError("the feedback is empty: send rating, edited_caption, edited_hashtags, reason or flag")
        return self

    @property
    def shown(self) -> Words | None:
        """The caption and hashtags that were shown with the creator's own photo."""
        return None if self.caption is None else to_words(self.caption, self.hashtags)

    def edited(self, shown: Words | None) -> Words | None:
        """Return the edited version of *shown*, or None if nothing was changed."""
        if self.edited_caption is None and self.edited_hashtags is None:
            return None
        before = shown or Words(caption="")
        caption = before.caption if self.edited_caption is None else self.edited_caption
        after = to_words(caption, self.edited_hashtags)
        if self.edited_hashtags is None and not after.hashtags:
            after = Words(caption=after.caption, hashtags=before.hashtags)
        return None if after == shown else after


class SubmissionBody(Submission):
    """JSON body of a feedback request: the submission, and the photo if it has its own."""

    model_config = ConfigDict(json_schema_extra={"allOf": [SAYS_SOMETHING, _ONE_SUBJECT]})

    image: Encoded | None = Field(
        default=None, description="The photo (JPEG, PNG, WebP, GIF, HEIC or AVIF) in base64 or as a data: URL."
    )


class Accepted(BaseModel):
    """The feedback is on the disk. The service delivers it to the store by itself."""

    id: str = Field(description="Id of the feedback, for its erasure.")


class Erased(BaseModel):
    """Whether every copy is erased. If not, the store is unreachable: the rest is erased as soon as it is back."""

    erased: bool


def to_words(caption: str, tags: list[str] | None) -> Words:
    """Return a caption and hashtags as they are stored: prose without hashtags, and unique hashtags in normal form."""
    prose, in_caption = hashtags.separate(caption)
    return Words(caption=prose, hashtags=tuple(hashtags.unique([*(tags or ()), *in_caption])[:MAX_HASHTAGS]))
