"""One contract for every object store, against real servers."""

import fcntl
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import swiftclient
from faulty_proxy import Fault, FaultyProxy

from snap2caption.store import MissingError, ObjectStore, SourceError, StoreError, open_store
from snap2caption.store.ranges import open_ranges
from snap2caption.store.s3 import S3Store
from snap2caption.store.swift import SwiftStore

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("short_waits_and_small_pieces")]


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


def test_what_is_there_is_not_created_again(store: ObjectStore) -> None:
    # Of an S3 server, the first one tells whether it heeds conditions.
    for key in ("first", "second", "third"):
        assert store.create(key, b"one", sha256=digest(b"one"))
        assert not store.create(key, b"other", sha256=digest(b"other"))
        assert store.exists(key, digest(b"one"))
        store.delete(key)
        assert store.create(key, b"other", sha256=digest(b"other"))


def test_of_many_only_one_creates(
    s3_environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_environment.items():
        monkeypatch.setenv(name, value)
    store = open_store(f"s3://bucket-{abs(hash(tmp_path)) % 10**8}/some/prefix")
    assert store.create("first", b"", sha256=digest(b""))
    contents = [str(number).encode() for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(lambda data: store.create("key", data, sha256=digest(data)), contents))
    assert created.count(True) == 1
    assert store.exists("key", digest(contents[created.index(True)]))


def test_a_server_without_conditions_is_asked_before(
    s3_environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_environment.items():
        monkeypatch.setenv(name, value)
    ask = S3Store._ask

    def ignore(self: S3Store, *arguments: Any, IfNoneMatch: str = "", **named: Any) -> Any:  # noqa: N803 - S3's name
        return ask(self, *arguments, **named)

    monkeypatch.setattr(S3Store, "_ask", ignore)
    store = open_store(f"s3://bucket-{abs(hash(tmp_path)) % 10**8}/some/prefix")
    for key in ("first", "second"):
        assert store.create(key, b"one", sha256=digest(b"one"))
        assert not store.create(key, b"other", sha256=digest(b"other"))
        assert store.exists(key, digest(b"one"))


def test_a_range_is_read(store: ObjectStore, large: Path) -> None:
    data = large.read_bytes()
    store.put("large.tar", large, sha256=digest(data))
    # Across the border of two pieces, the beginning, the end, and nothing.
    for start, size in ((5 * 1024 * 1024 - 10, 20), (0, 1), (len(data) - 7, 7), (3, 0)):
        assert store.read("large.tar", start, size) == data[start : start + size]
    for start, size in ((len(data) - 7, 8), (len(data) + 5, 1)):
        with pytest.raises(StoreError, match="shorter than it was"):
            store.read("large.tar", start, size)
    with pytest.raises(StoreError, match="check the URI"):
        store.read("missing", 0, 1)


def test_an_object_is_a_seekable_stream(store: ObjectStore, large: Path) -> None:
    data = large.read_bytes()
    store.put("large.tar", large, sha256=digest(data))
    assert store.size("large.tar") == len(data)
    with open_ranges(store, "large.tar", buffer=1 << 16) as stream:
        assert stream.seek(-5, os.SEEK_END) == len(data) - 5
        assert stream.read() == data[-5:]
        assert stream.read(1) == b""
        stream.seek(70_000)
        assert stream.read(200_000) == data[70_000:270_000]
        stream.seek(-10, os.SEEK_CUR)
        assert stream.read(20) == data[269_990:270_010]
        stream.seek(len(data) + 9)
        assert stream.read(1) == b""
        with pytest.raises(ValueError, match="negative"):
            stream.seek(-1)
    for missing in ("missing", "missing/too"):
        with pytest.raises(MissingError, match="check the URI"):
            store.size(missing)


def test_nothing_is_put_too(store: ObjectStore) -> None:
    store.put("empty", b"", sha256=digest(b""))
    assert store.exists("empty", digest(b""))
    with store.get("empty") as stream:
        assert stream.read() == b""


def test_many_objects_are_deleted_at_once(store: ObjectStore) -> None:
    store.delete_all(["nothing/was/put/here/yet"])
    keys = [f"many/{number:02d} é&<.bin" for number in range(12)]
    for key in [*keys, "many/kept"]:
        store.put(key, b"1", sha256=digest(b"1"))
    store.delete_all([*keys, "many/never put"])
    assert [found.key for found in store.list()] == ["many/kept"]
    store.delete_all([])


@pytest.mark.parametrize("answer", ["501 Not Implemented", "400 Bad Request"])
def test_a_server_without_batch_deletes_is_asked_one_by_one(
    answer: str, s3_environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_environment.items():
        monkeypatch.setenv(name, value)
    port = int(s3_environment["AWS_ENDPOINT_URL"].rpartition(":")[2])
    refusal = Fault(when=lambda method, path: method == "POST" and "delete" in path, times=9, answer=answer)
    with FaultyProxy(port=port, faults=[refusal]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{proxy.address}")
        store = open_store(f"s3://bucket-{abs(hash(tmp_path)) % 10**8}/some/prefix")
        for key in ("a", "b", "c"):
            store.put(key, b"1", sha256=digest(b"1"))
        store.delete_all(["a", "b"])
        assert [found.key for found in store.list()] == ["c"]


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file that goes in three pieces."""
    path = tmp_path / "large.tar"
    path.write_bytes(os.urandom(12 * 1024 * 1024))
    return path


def test_a_file_is_put_in_pieces(store: ObjectStore, large: Path) -> None:
    expected = digest(large.read_bytes())
    store.put("large.tar", large, sha256=expected)
    assert store.exists("large.tar", expected)
    with store.get("large.tar") as stream:
        assert hashlib.file_digest(stream, "sha256").hexdigest() == expected  # type: ignore[arg-type]
    assert [(found.key, found.size) for found in store.list()] == [("large.tar", large.stat().st_size)]
    store.delete("large.tar")
    assert not store.exists("large.tar")


def test_a_file_of_just_one_or_two_pieces(store: ObjectStore, large: Path) -> None:
    for pieces in (1, 2):
        large.write_bytes(os.urandom(pieces * 5 * 1024 * 1024))
        store.put("large.tar", large, sha256=digest(large.read_bytes()))
        assert store.exists("large.tar", digest(large.read_bytes()))


def test_list_is_sorted_and_relative(store: ObjectStore) -> None:
    assert list(store.list()) == []
    for key in ("b/2", "a", "b/1", "bc"):
        store.put(key, key.encode(), sha256=digest(key.encode()))
    assert [found.key for found in store.list()] == ["a", "b/1", "b/2", "bc"]
    assert [found.key for found in store.list("b/")] == ["b/1", "b/2"]
    first = next(store.list())
    assert first.size == 1
    assert abs(datetime.now(UTC) - first.modified) < timedelta(hours=1)


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


@pytest.mark.parametrize("source", ["bytes", "file", "large", "missing"])
def test_what_is_not_what_it_should_be_is_not_stored(
    store: ObjectStore, large: Path, tmp_path: Path, source: str
) -> None:
    (tmp_path / "file").write_bytes(b"1")
    what = {"bytes": b"1", "file": tmp_path / "file", "large": large, "missing": tmp_path / "missing"}[source]
    with pytest.raises(SourceError, match="make it again"):
        store.put("x", what, sha256=digest(b"2"))
    assert list(store.list()) == []


def test_a_draft_of_a_killed_run_goes_and_one_in_use_stays(tmp_path: Path) -> None:
    store = open_store(tmp_path.as_uri())
    left, busy = tmp_path / ".put-1", tmp_path / ".put-2"
    left.touch()
    busy.touch()
    with busy.open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        store.put("x", b"1", sha256=digest(b"1"))
    assert set(tmp_path.iterdir()) == {tmp_path / "x", busy}
    assert [found.key for found in store.list()] == ["x"]


@pytest.mark.parametrize("size", [1000, 12 * 1024 * 1024])
def test_an_overwritten_object_with_its_metadata_does_not_pass(store: ObjectStore, large: Path, size: int) -> None:
    """By a raw client, which knows nothing of digests."""
    data = large.read_bytes()[:size]
    store.put("x", data, sha256=digest(data))
    other = os.urandom(size)
    if isinstance(store, S3Store):
        where = {"Bucket": store.container, "Key": f"{store.prefix}x"}
        metadata = store._client.head_object(**where)["Metadata"]
        store._client.put_object(**where, Body=other, Metadata=metadata)
    elif isinstance(store, SwiftStore):
        name = f"{store.prefix}x"
        head = store._head(store.container, name)
        assert head is not None
        metadata = {key: value for key, value in head.items() if key.startswith("x-object-meta-")}
        store._ask(swiftclient.put_object, store.container, name, contents=other, headers=metadata)
    else:
        (Path(store.uri.removeprefix("file://")) / "x").write_bytes(other)
    assert store.exists("x")
    assert not store.exists("x", digest(data))


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
def test_wrong_credentials_and_an_absent_server_are_told(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, kind: str, changed: dict[str, str], sentence: str
) -> None:
    for name, value in (request.getfixturevalue(f"{kind}_environment") | changed).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreError, match=sentence):
        open_store(f"{kind}://bucket/p").put("x", b"1", sha256=digest(b"1"))


@pytest.mark.parametrize("uri", ["", "/folder", "ftp://host/x", "s3://", "file://host/x", "swift:///x"])
def test_what_is_no_store(uri: str) -> None:
    with pytest.raises(StoreError, match="is not a store"):
        open_store(uri)


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        (
            "s3://b/exp#1",
            "'s3://b/exp#\\*\\*\\*' has a fragment, which means nothing in a store; write %23 for a # that",
        ),
        ("swift://c/exp#", "has a fragment"),
        ("file:///data/exp#1", "has a fragment"),
        ("s3://b/exp?versionId=7", "has a query, which means nothing in a store; write %3F for a \\? that"),
        ("s3://b/exp?", "has a query"),
        ("file:///data/exp?x", "has a query"),
        ("s3://key:topsecret@b/exp", "'s3://b/exp' holds a user name; leave it out"),
        ("swift://user@c/exp", "holds a user name"),
        ("s3://b:9000/exp", "holds a port; leave it out"),
        ("s3://key:top/secret@b/exp", "is not a store"),
        ("s3://b/a/../exp", "is not a store"),
        ("s3://b/./exp", "is not a store"),
        ("s3://b/%2e%2e/exp", "is not a store"),
        ("s3://b/e\tx", "holds a control character"),
        ("file:///data/%00", "holds a control character"),
        ("s3://[b/exp", "is not a store"),
    ],
)
def test_a_uri_with_parts_that_mean_nothing_is_refused(uri: str, sentence: str) -> None:
    with pytest.raises(StoreError, match=sentence) as caught:
        open_store(uri)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("uri", ["s3://b/50%25 off%23%3F", "swift://c/a b/é", "s3://b", "s3://b/a:b@c"])
def test_a_store_names_itself_as_it_was_named(uri: str) -> None:
    assert open_store(open_store(uri).uri).uri == open_store(uri).uri
    assert unquote(open_store(uri).uri) == unquote(uri)


def test_names_that_are_percent_encoded_are_two_places(tmp_path: Path) -> None:
    for name in ("1", "2"):
        open_store(f"{tmp_path.as_uri()}/exp%23{name}").put("x", name.encode(), sha256=digest(name.encode()))
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["exp#1", "exp#2"]


def test_a_folder_that_empties_is_made_again_for_a_writer(tmp_path: Path) -> None:
    def work(name: str) -> None:
        store = open_store(tmp_path.joinpath("store").as_uri())
        for _ in range(300):
            store.put(f"a/b/{name}", b"1", sha256=digest(b"1"))
            assert f"a/b/{name}" in {found.key for found in store.list()}
            store.delete(f"a/b/{name}")

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, "xyz"))
    assert list(tmp_path.joinpath("store").iterdir()) == []
