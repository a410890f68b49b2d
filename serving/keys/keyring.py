"""Key lookup: finds the creator of an API key at each request, so that changes apply from the next request on."""

import hmac
import time
from collections.abc import Collection
from typing import Protocol

from serving.keys.key_file import KeyFile
from serving.keys.shared_keys import SharedKeys
from serving.keys.store import KeyState, KeyStore, StoredKey
from serving.settings import ServingSettings
from serving.state.opening import open_database
from serving.state.tables import Section


class KeySource(Protocol):
    """Where keys are looked up."""

    @property
    def requires_key(self) -> bool:
        """Whether requests need a key."""
        ...

    async def look_up(self, digest: str) -> tuple[str, StoredKey] | None:
        """Return the key with a digest, after the digest as it is stored; None if there is none."""
        ...


class Keyring:
    """The API keys of *source*, and those with the digests *hashes*. Each of the latter is its own creator.

    An index finds a key by its digest, so the time of a lookup does not grow with the number of keys.
    """

    def __init__(self, hashes: Collection[str], source: KeySource) -> None:
        self._hashes = {digest: digest for digest in hashes}
        self._source = source

    @property
    def requires_key(self) -> bool:
        """Whether requests need a key."""
        return bool(self._hashes) or self._source.requires_key

    async def creator(self, digest: str) -> str | None:
        """Return the id of the creator whose key has the *digest*; None if there is none, or it is expired or revoked.

        Raises:
            UserError: the keys can't be read.
        """
        found = await self._source.look_up(digest)
        if found is None:
            stored = self._hashes.get(digest, "")
            # The lookup itself isn't constant-time. It can leak a digest, but nobody can derive a key from that.
            return stored if hmac.compare_digest(stored, digest) else None
        stored, key = found
        valid = key.state(time.time()) is KeyState.VALID
        return key.creator if hmac.compare_digest(stored, digest) and valid else None


def open_keyring(settings: ServingSettings) -> Keyring:
    """Return the keys of the service with these settings.

    Raises:
        StateError: the database that replicas share can't be used.
    """
    if settings.database_url is None:
        return Keyring(settings.api_key_hashes, KeyFile(settings.key_file))
    return Keyring(settings.api_key_hashes, SharedKeys(KeyStore(open_database(settings, Section.KEYS))))
