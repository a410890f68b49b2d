"""JSON documents as immutable Pydantic models."""

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """A document that does not change once it is made."""

    model_config = ConfigDict(frozen=True)


class StrictDocument(FrozenModel):
    """A document that refuses fields that it does not know."""

    model_config = ConfigDict(extra="forbid")


class ScoreDocument(FrozenModel):
    """A document with scores. A score may be NaN, and the gate must see it.

    As a string, a NaN survives in strict JSON (RFC 8259), and becomes a float again when it is read.
    """

    model_config = ConfigDict(ser_json_inf_nan="strings")
