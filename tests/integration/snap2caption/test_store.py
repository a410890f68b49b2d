"""One contract for every object store, against real servers."""

import hashlib
import os
from pathlib import Path

import pytest

from snap2caption.store import ObjectStore, StoreError, open_store
from snap2caption.store import s3 as s3_module

pytestmark = pytest.mark.integration


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(params=["file", "s3", "swift"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    if request.param == "file":
        uri = (tmp_path / "store").as_uri()
    else:
        for name, value in request.getfixturevalue(f"{request.param}_environment").items():
            monkeypatch.setenv(name, value)
        uri = f"{request.param}://bucket-{abs(hash(tmp_path)) % 10**8}/some/prefix"
    return open_store(uri)


def test_what_was_put_is_got(store: ObjectStore) -> None:
    data = os.urandom(100_000)
    store.put("a/b c.bin", data, sha256=digest(data))
    with store.get("a/b c.bin") as stream:
        assert stream.read() == data


def test_a_file_is_put_in_pieces(store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from snap2caption.store import swift as swift_module

    monkeypatch.setattr(s3_module, "_PART", 5 * 1024 * 1024)
    monkeypatch.setattr(swift_module, "SEGMENT", 5 * 1024 * 1024)
    path = tmp_path / "large.tar"
    path.write_bytes(os.urandom(12 * 1024 * 1024))
    expected = digest(path.read_bytes())
    store.put("large.tar", path, sha256=expected)
    assert store.exists("large.tar", expected)
    with store.get("large.tar") as stream:
        assert hashlib.file_digest(stream, "sha256").hexdigest() == expected  # type: ignore[arg-type]
    assert [(found.key, found.size) for found in store.list()] == [("large.tar", path.stat().st_size)]
    store.delete("large.tar")
    assert not store.exists("large.tar")


def test_list_is_sorted_and_relative(store: ObjectStore) -> None:
    assert list(store.list()) == []
    for key in ("b/2", "a", "b/1", "bc"):
        store.put(key, key.encode(), sha256=digest(key.encode()))
    assert [found.key for found in store.list()] == ["a", "b/1", "b/2", "bc"]
    assert [found.key for found in store.list("b/")] == ["b/1", "b/2"]
    assert next(store.list()).size == 1


def test_exists_tells_digests_apart(store: ObjectStore) -> None:
    assert not store.exists("x")
    store.put("x", b"one", sha256=digest(b"one"))
    assert store.exists("x")
    assert store.exists("x", digest(b"one"))
    assert not store.exists("x", digest(b"two"))
    store.put("x", b"two", sha256=digest(b"two"))
    assert store.exists("x", digest(b"two"))


def test_delete_and_what_is_not_there(store: ObjectStore) -> None:
    store.put("x", b"one", sha256=digest(b"one"))
    store.delete("x")
    store.delete("x")
    assert not store.exists("x")
    with pytest.raises(StoreError, match="has no x"), store.get("x"):
        pass


def test_wrong_credentials_are_one_sentence(s3_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (s3_environment | {"AWS_SECRET_ACCESS_KEY": "wrong"}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreError, match="refused"):
        open_store("s3://bucket/p").put("x", b"1", sha256=digest(b"1"))


def test_an_absent_server_is_one_sentence(s3_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (s3_environment | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreError, match="can't be reached"):
        open_store("s3://bucket/p").exists("x")


@pytest.mark.parametrize("uri", ["", "/folder", "ftp://host/x", "s3://", "file://host/x", "swift:///x"])
def test_what_is_no_store(uri: str) -> None:
    with pytest.raises(StoreError, match="is not a store"):
        open_store(uri)
