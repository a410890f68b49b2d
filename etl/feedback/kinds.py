"""Which feedback annotators should see: its kind, and the share of each kind."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from etl.transform.splitting.split import point
from snap2caption.feedback import Feedback

Share = Annotated[float, Field(ge=0, le=1)]


class ReviewReason(StrEnum):
    """Why a feedback is worth a look, the most urgent first."""

    FLAGGED = "flagged"
    EDITED = "edited"
    LOW_RATED = "low_rated"
    LOW_CONFIDENCE = "low_confidence"
    RANDOM = "random"


class Shares(BaseModel):
    """How much of each kind is taken, and what counts as low."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    flagged: Share = 1.0
    edited: Share = 1.0
    low_rated: Share = 1.0
    low_confidence: Share = 0.5
    random: Share = 0.05
    low_rating: Annotated[int, Field(ge=1, le=5)] = 2
    """A rating is low up to this one."""
    doubt: Share = 0.5
    """The confidence is low below this."""


def choose(feedback: Feedback, shares: Shares, seed: int) -> ReviewReason | None:
    """Return as what a feedback is chosen, or None.

    Each kind that it is of has its own draw, by the seed and the feedback's id alone: so it does not depend on what else there is, and a
    larger share keeps all that a smaller one takes.
    """
    for kind in ReviewReason:
        if _is(kind, feedback, shares) and point(seed, f"{kind}:{feedback.id}") < getattr(shares, kind):
            return kind
    return None


def _is(kind: ReviewReason, feedback: Feedback, shares: Shares) -> bool:
    match kind:
        case ReviewReason.FLAGGED:
            return feedback.flagged
        case ReviewReason.EDITED:
            return feedback.is_edited
        case ReviewReason.LOW_RATED:
            return feedback.rating is not None and feedback.rating <= shares.low_rating
        case ReviewReason.LOW_CONFIDENCE:
            return feedback.confidence is not None and feedback.confidence < shares.doubt
        case ReviewReason.RANDOM:
            return True
