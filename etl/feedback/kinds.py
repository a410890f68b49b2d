"""Review sampling: which feedback annotators should see, and the share of each kind."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from etl.transform.splitting.split import uniform_hash
from snap2caption.feedback import Feedback

Share = Annotated[float, Field(ge=0, le=1)]


class ReviewReason(StrEnum):
    """Reason to review a feedback, the most urgent first."""

    FLAGGED = "flagged"
    EDITED = "edited"
    LOW_RATED = "low_rated"
    LOW_CONFIDENCE = "low_confidence"
    RANDOM = "random"


class Shares(BaseModel):
    """Share of each kind that is reviewed, and the limits for low ratings and confidences."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    flagged: Share = 1.0
    edited: Share = 1.0
    low_rated: Share = 1.0
    low_confidence: Share = 0.5
    random: Share = 0.05
    low_rating: Annotated[int, Field(ge=1, le=5)] = 2
    """Highest rating that counts as low."""
    doubt: Share = 0.5
    """Confidence below which a caption counts as low."""


def choose(feedback: Feedback, shares: Shares, seed: int) -> ReviewReason | None:
    """Return the kind for which a feedback is chosen, or None.

    Each matching kind has its own random draw, which depends only on the seed and the feedback's id. So the
    choice is independent of other feedback, and a larger share includes everything that a smaller one chooses.
    """
    for kind in ReviewReason:
        if _is(kind, feedback, shares) and uniform_hash(seed, f"{kind}:{feedback.id}") < getattr(shares, kind):
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
