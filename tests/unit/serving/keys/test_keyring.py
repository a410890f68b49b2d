import asyncio
import hmac
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from databases import BOTH
from pydantic import SecretStr

from serving.keys import key_file, keyring
from serving.keys.key_file import KeyFile
from serving.keys.keyring import Keyring, KeySource
from serving.keys.shared_keys import SharedKeys
from serving.keys.store import KeyStore, digest_of
from serving.settings import ServingSettings
from serving.state.opening import open_database
from serving.state.sqlite import SQLiteDatabase
from serving.state.tables import Section
from snap2caption.errors import UserError

pytestmark = pytest.mark.unit

on_both = pytest.mark.parametrize("database_url", BOTH, indirect=True)


@dataclass(frozen=True)
class Shared:
    """Keys that an operator changes, and how a service reads them."""

    keys: KeyStore
    source: KeySource


@pytest.fixture
def shared(path: Path, database_url: SecretStr | None) -> Shared:
    settings = ServingSettings(key_file=path, database_url=database_url)
    keys = KeyStore(open_database(settings, Section.KEYS))
    return Shared(keys, SharedKeys(keys) if database_url else KeyFile(path))


def creator(ring: Keyring, key: str) -> str | None:
    return asyncio.run(ring.creator(digest_of(key.encode())))


@on_both
def test_a_key_is_known_as_long_as_it_is_good(shared: Shared) -> None:
    keys = shared.keys
    ring = Keyring((), shared.source)
    secret, key = keys.add("c" * 64)
    assert creator(ring, secret) == "c" * 64
    late, _ = keys.add("c" * 64, seconds=-1)
    assert creator(ring, late) is None
    keys.revoke(key.id, after=3600)
    assert creator(ring, secret) == "c" * 64
    keys.revoke(key.id)
    assert creator(ring, secret) is None
    # A later date does not undo the revocation.
    keys.revoke(key.id, after=3600)
    assert creator(ring, secret) is None


@on_both
def test_all_keys_of_a_creator_are_theirs(shared: Shared) -> None:
    keys = shared.keys
    ring = Keyring((), shared.source)
    secrets = [keys.add("c" * 64)[0] for _ in range(3)]
    assert {creator(ring, secret) for secret in secrets} == {"c" * 64}
    assert len({*secrets}) == 3
    for wrong in ("", secrets[0][:-1], secrets[0].upper(), digest_of(secrets[0].encode()), keys.keys()[0].id):
        assert creator(ring, wrong) is None


@on_both
def test_what_is_revoked_is_so_whatever_the_environment_says(shared: Shared) -> None:
    keys = shared.keys
    digest = digest_of(b"mine")
    ring = Keyring([digest, digest_of(b"other")], shared.source)
    assert (creator(ring, "mine"), creator(ring, "other")) == (digest, digest_of(b"other"))
    keys.adopt(digest)
    assert creator(ring, "mine") == keys.former()[digest] != digest
    keys.revoke(keys.keys()[0].id)
    assert creator(ring, "mine") is None


def test_the_first_key_closes_an_open_service_for_good(path: Path) -> None:
    ring = Keyring((), KeyFile(path))
    assert not ring.requires_key
    assert creator(ring, "") is None
    secret, _ = KeyStore(SQLiteDatabase(path, Section.KEYS)).add("c" * 64)
    assert ring.requires_key
    assert creator(ring, secret) == "c" * 64
    path.unlink()
    assert ring.requires_key
    assert creator(ring, secret) is None
    # The file that replaces it counts; the keys of the deleted one don't.
    path.with_name("keys.sqlite-wal").unlink(missing_ok=True)
    path.with_name("keys.sqlite-shm").unlink(missing_ok=True)
    other, _ = KeyStore(SQLiteDatabase(path, Section.KEYS)).add("d" * 64)
    assert (creator(ring, other), creator(ring, secret)) == ("d" * 64, None)


def test_a_file_that_can_not_be_read_lets_nobody_in(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(UserError, match="can't be read"):
        creator(Keyring((), KeyFile(path)), "any")


def test_one_digest_is_compared_however_many_keys_there_are(
    keys: KeyStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[str, str]] = []

    class Watched:
        @staticmethod
        def compare_digest(one: str, other: str) -> bool:
            compared.append((one, other))
            return hmac.compare_digest(one, other)

    secret = [keys.add(f"{number:064x}")[0] for number in range(50)][7]
    monkeypatch.setattr(keyring, "hmac", Watched)
    assert creator(Keyring([digest_of(b"x")], KeyFile(path)), secret) == f"{7:064x}"
    digest = digest_of(secret.encode())
    assert compared == [(digest, digest)]
    with closing(sqlite3.connect(path)) as connection:
        (step,) = connection.execute(f"EXPLAIN QUERY PLAN {key_file._FIND}", ("",)).fetchall()
    assert "USING INDEX" in step[3]
    assert "(digest=?)" in step[3]
