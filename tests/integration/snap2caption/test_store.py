"""One contract for every object store, against real servers."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
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


def test_many_threads_put_into_a_new_container(store: ObjectStore) -> None:
    """None of them has made it before, and each may be the first."""
    keys = [f"{number:02d}" for number in range(12)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.put(key, key.encode(), sha256=digest(key.encode())), keys))
    assert [found.key for found in store.list()] == keys


def test_what_is_published_is_everybodys_to_read(tmp_path: Path) -> None:
    open_store(tmp_path.as_uri()).put("x", b"1", sha256=digest(b"1"))
    (tmp_path / "usual").touch()
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_what_arrives_damaged_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="damaged"):
        open_store(tmp_path.as_uri()).put("x", b"1", sha256=digest(b"2"))
    assert list(tmp_path.iterdir()) == []


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


@pytest.mark.parametrize(
    ("kind", "changed", "sentence"),
    [
        ("s3", {"AWS_SECRET_ACCESS_KEY": "wrong"}, "refused"),
        ("swift", {"ST_KEY": "wrong"}, "refused the credentials"),
        ("s3", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "can't be reached"),
        ("swift", {"ST_AUTH": "http://127.0.0.1:9/auth/v1.0"}, "can't be reached"),
    ],
)
def test_wrong_credentials_and_an_absent_server_are_one_sentence(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, kind: str, changed: dict[str, str], sentence: str
) -> None:
    for name, value in (request.getfixturevalue(f"{kind}_environment") | changed).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreError, match=sentence):
        open_store(f"{kind}://bucket/p").put("x", b"1", sha256=digest(b"1"))


def test_swift_without_credentials_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ST_AUTH", "OS_AUTH_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(StoreError, match="No credentials"):
        open_store("swift://container/p").exists("x")


@pytest.mark.parametrize("uri", ["", "/folder", "ftp://host/x", "s3://", "file://host/x", "swift:///x"])
def test_what_is_no_store(uri: str) -> None:
    with pytest.raises(StoreError, match="is not a store"):
        open_store(uri)
