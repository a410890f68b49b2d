"""Signature of Label Studio's webhook: an HMAC of the time at which it was made, good for some days.

Label Studio sends with each delivery the headers that its webhook was made with, and can sign neither a body nor a time. So what it holds and sends
is no secret of ours, but a credential that ends by itself, and is renewed whenever the project is opened, which each run of the DAG `feedback` does.
"""

import hashlib
import hmac
import re
import time

HEADER = "X-Snap2Caption-Signature"
"""What a webhook carries its signature in; and by which we know ours."""

GOOD_SECONDS = 3 * 86_400
"""How long a signature is taken: a run a day renews it, and two may fail."""

RENEWED_SECONDS = 12 * 3600
"""The age at which a signature is renewed."""

SKEW_SECONDS = 300
"""By how much the clock of the machine that signed may be ahead."""

_SIGNATURE = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")


def sign(secret: str, now: float | None = None) -> str:
    """Return a signature that was made at *now*, in seconds of the epoch."""
    made = int(time.time() if now is None else now)
    return f"t={made},v1={_digest(secret, made)}"


def age_of(signature: str, secret: str, now: float | None = None) -> float | None:
    """Return how many seconds ago *signature* was made, or None if it is not ours or no longer good."""
    found = _SIGNATURE.fullmatch(signature)
    if found is None or not hmac.compare_digest(found[2], _digest(secret, int(found[1]))):
        return None
    age = (time.time() if now is None else now) - int(found[1])
    return age if -SKEW_SECONDS <= age <= GOOD_SECONDS else None


def _digest(secret: str, made: int) -> str:
    # Of nothing else may a signature with this secret be taken for one of these.
    return hmac.new(secret.encode(), f"snap2caption-label-studio-webhook.{made}".encode(), hashlib.sha256).hexdigest()
