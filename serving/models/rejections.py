"""Rejected model versions, each with its reason and the exponential backoff until it is tried again."""

import time
from dataclasses import dataclass

from serving.models.trust import DistrustedError, DistrustReason
from serving.observability.metrics import CHAMPION_REFUSED, SWAPS
from snap2caption.registry.client import CHAMPION
from snap2caption.registry.versions import ModelVersion

_MAX_RETRY_SECONDS = 300.0
"""The longest wait, in seconds, before a rejected champion is retried."""


@dataclass(frozen=True, slots=True)
class _RejectedVersion:
    """A rejected version: a download may fail although the model is good, so it is retried at *until*."""

    number: int
    version: ModelVersion | None
    """None if the registry's entry is invalid."""
    reason: DistrustReason
    attempts: int
    until: float


class Rejections:
    """The version that was rejected under each alias of the registry."""

    def __init__(self, poll_seconds: float) -> None:
        self._poll_seconds = poll_seconds
        self._rejected: dict[str, _RejectedVersion] = {}
        self._update_metric()

    def of(self, alias: str) -> tuple[int, DistrustReason] | None:
        """Return the number of the version that was rejected, and the reason."""
        rejected = self._rejected.get(alias)
        return (rejected.number, rejected.reason) if rejected else None

    def hold(self, alias: str, version: ModelVersion) -> bool:
        """Whether it is too early to retry *version*. A version that was signed in the meantime is retried at once."""
        rejected = self._rejected.get(alias)
        if rejected is None or rejected.version is None:
            return False
        signed = version.signature != rejected.version.signature
        return version == rejected.version and not signed and time.monotonic() < rejected.until

    def add(self, alias: str, version: ModelVersion, error: Exception) -> float:
        """Reject *version* because of *error*, and return the seconds until it is tried again."""
        known = self._rejected.get(alias)
        attempts = known.attempts + 1 if known and known.version == version else 1
        wait = min(_MAX_RETRY_SECONDS, self._poll_seconds * 2.0**attempts)
        reason = error.reason if isinstance(error, DistrustedError) else DistrustReason.BROKEN
        until = time.monotonic() + wait
        self._rejected[alias] = _RejectedVersion(version.version, version, reason, attempts, until)
        SWAPS.labels("refused").inc()
        self._update_metric()
        return wait

    def add_invalid(self, alias: str, number: int) -> None:
        """Reject the version *number*, whose entry in the registry is invalid, until the entry changes."""
        known = self._rejected.get(alias)
        if known is None or known.number != number:
            SWAPS.labels("refused").inc()
        self._rejected[alias] = _RejectedVersion(number, None, DistrustReason.TAGS, 1, 0)
        self._update_metric()

    def clear(self, alias: str) -> None:
        """Forget a rejection: *alias* names another version now, or the version passed after all."""
        self._rejected.pop(alias, None)
        self._update_metric()

    def _update_metric(self) -> None:
        champion = self.of(CHAMPION)
        for reason in DistrustReason:
            CHAMPION_REFUSED.labels(reason).set(champion is not None and champion[1] is reason)
