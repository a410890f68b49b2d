"""Webhook signature: an HMAC of the time of signing, valid for some days.

Label Studio sends the headers that its webhook was created with, and can sign neither a body nor a time. So
what it stores and sends is not our secret but a credential that expires by itself. It is renewed whenever the
project is opened, which each run of the DAG `feedback` does.
"""

import hashlib
import hmac
import re
import time

HEADER = "X-Snap2Caption-Signature"
"""Header with a webhook's signature; it also identifies our webhooks."""

GOOD_SECONDS = 3 * 86_400
"""Validity of a signature: a daily run renews it, and two runs may fail."""

RENEWED_SECONDS = 12 * 3600
"""Age from which a signature is renewed."""

SKEW_SECONDS = 300
"""Tolerance for a signer's clock that is ahead of ours."""

_SIGNATURE = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")


def sign(secret: str, now: float | None = None) -> str:
    """Return a signature for the time *now*, in seconds since the epoch."""
    made = int(time.time() if now is None else now)
    return f"t={made},v1={_digest(secret, made)}"


def age_of(signature: str, secret: str, now: float | None = None) -> float | None:
    """Return the age of *signature* in seconds, or None if it is not ours or has expired."""
    found = _SIGNATURE.fullmatch(signature)
    if found is None or not hmac.compare_digest(found[2], _digest(secret, int(found[1]))):
        return None
    age = (time.time() if now is None else now) - int(found[1])
    return age if -SKEW_SECONDS <= age <= GOOD_SECONDS else None


def _digest(secret: str, made: int) -> str:
    # The prefix prevents a signature of anything else with this secret from being valid here.
    return hmac.new(secret.encode(), f"snap2caption-label-studio-webhook.{made}".encode(), hashlib.sha256).hexdigest()
