"""Shared keys: reads API keys from the database of all replicas, without blocking the event loop."""

from serving.keys.store import KeyStore, StoredKey
from serving.state.threads import StateThreads


class SharedKeys:
    """The keys in *store*. A lookup is a round trip to the database, so that a change applies from the next request."""

    requires_key = True
    """Replicas behind a load balancer are never open to everyone."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._threads = StateThreads("keys")

    async def look_up(self, digest: str) -> tuple[str, StoredKey] | None:
        """Return the key with a digest, after the digest as it is stored; None if there is none.

        Raises:
            StateError: the database can't be read, or too many requests wait for it.
        """
        return await self._threads.run(self._store.look_up, digest)
