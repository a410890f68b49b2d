"""Extract: what is downloaded, kept, and refused."""

import gzip
from pathlib import Path

import pytest
from archives import zip_of
from downloads import CONTENT, OTHER, SHA256, names

from etl.extract import Progress, extract
from snap2caption.errors import UserError
from snap2caption.store import StoreError
from snap2caption.store.file import FileStore

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("quick_retries")]


def test_downloads_over_many_connections_and_verifies(publisher, tmp_path: Path) -> None:
    publisher.files = {"corpus.zip": CONTENT, "mirror.zip": CONTENT}
    seen: list[Progress] = []
    urls = [f"{publisher.url}/corpus.zip", f"{publisher.url}/mirror.zip"]
    path = extract(urls, tmp_path, sha256=SHA256, size=len(CONTENT), on_progress=seen.append)
    assert path == tmp_path / "corpus.zip"
    assert path.read_bytes() == CONTENT
    assert names(tmp_path) == {"corpus.zip", "corpus.zip.source.json"}
    assert seen[-1].done == seen[-1].total == len(CONTENT)
    assert "%" in str(seen[-1])
    assert len(publisher.requested) >= 4


def test_what_is_there_is_not_fetched_again(publisher, tmp_path: Path) -> None:
    publisher.files = {"corpus.zip": CONTENT}
    url = f"{publisher.url}/corpus.zip"
    extract([url], tmp_path)
    with publisher.unneeded():
        assert extract([url], tmp_path).read_bytes() == CONTENT
        assert extract([url], tmp_path, size=len(CONTENT)).read_bytes() == CONTENT
        assert extract(["http://127.0.0.1:9/corpus.zip"], tmp_path, sha256=SHA256).read_bytes() == CONTENT


@pytest.mark.parametrize("asked", [{"sha256": SHA256}, {"size": len(CONTENT)}, {}])
def test_an_older_download_is_replaced_when_another_has_come(publisher, tmp_path: Path, asked) -> None:
    publisher.files = {"corpus.zip": zip_of(b"old"), "moved/corpus.zip": CONTENT}
    old = extract([f"{publisher.url}/corpus.zip"], tmp_path)
    seen: list[bytes] = []
    url = f"{publisher.url}/moved/corpus.zip"
    assert (
        extract([url], tmp_path, **asked, on_progress=lambda _: seen.append(old.read_bytes())).read_bytes() == CONTENT
    )
    assert set(seen) == {zip_of(b"old")}
    assert names(tmp_path) == {"corpus.zip", "corpus.zip.source.json"}


@pytest.mark.parametrize("own", [zip_of(b"mine"), b"no zip, and mine"])
def test_a_file_of_somebody_else_is_left_alone(publisher, tmp_path: Path, own: bytes) -> None:
    (tmp_path / "corpus.zip").write_bytes(own)
    (tmp_path / "corpus.zip.part").write_bytes(own)
    publisher.files = {"corpus.zip": CONTENT}
    for asked in ({}, {"sha256": SHA256}, {"size": len(CONTENT)}):
        with pytest.raises(UserError, match=r"corpus.zip exists and was not fetched from these URLs; move it away, or"):
            extract([f"{publisher.url}/corpus.zip"], tmp_path, **asked)
    assert publisher.requested == []
    assert (tmp_path / "corpus.zip").read_bytes() == (tmp_path / "corpus.zip.part").read_bytes() == own


def test_a_file_of_somebody_else_will_do_if_it_has_the_digest(publisher, tmp_path: Path) -> None:
    (tmp_path / "corpus.zip").write_bytes(CONTENT)
    assert extract([f"{publisher.url}/corpus.zip"], tmp_path, sha256=SHA256).read_bytes() == CONTENT
    assert publisher.requested == []


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"sha256": "0" * 64}, r"does not have the digest 0{64}.*removed"),
        (
            {"size": len(CONTENT) - 1},
            rf"has {len(CONTENT)} bytes, not the requested {len(CONTENT) - 1}; check the size",
        ),
    ],
)
def test_a_mistyped_digest_or_size_costs_no_finished_download(publisher, tmp_path: Path, asked, sentence: str) -> None:
    publisher.files = {"corpus.zip": CONTENT}
    url = f"{publisher.url}/corpus.zip"
    extract([url], tmp_path)
    with pytest.raises(UserError, match=sentence):
        extract([url], tmp_path, **asked)
    assert (tmp_path / "corpus.zip").read_bytes() == CONTENT
    with publisher.unneeded():
        assert extract([url], tmp_path, size=len(CONTENT)).read_bytes() == CONTENT


def test_a_wrong_digest_leaves_nothing_behind(publisher, tmp_path: Path) -> None:
    publisher.files = {"corpus.zip": CONTENT}
    with pytest.raises(UserError, match=r"does not have the digest 0{64}.*removed"):
        extract([f"{publisher.url}/corpus.zip"], tmp_path, sha256="0" * 64)
    assert names(tmp_path) == set()


PAGE = b"\r\n<!DOCTYPE html><title>Sign in</title>" + bytes(2000)


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        (b"", r"sent an empty file; check the URL, or give another mirror\."),
        (PAGE, r"is not a zip but a web page; open the URL in a browser, and give the address that the download"),
        (b"\xef\xbb\xbf<HTML><body>busy", r"is not a zip but a web page; open"),
        (
            b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
            r"is not a zip but an XML document; check the URL",
        ),
        (b'{"error": "quota"}', r"is not a zip but a JSON document; check the URL"),
        (
            gzip.compress(zip_of(b"x"), mtime=0),
            r"is not a zip but compressed with gzip, when it was packed or by the server",
        ),
        (CONTENT[:-30], r"is not a zip but a zip without its end; try again, or give another mirror\."),
        (b"Rar!\x1a\x07\x01\x00", r"is not a zip but a RAR archive; pack it as a zip\."),
        (b"17 bytes of something", r"sent is not a zip; check the URL, or give another mirror\."),
    ],
)
@pytest.mark.parametrize("sha256", [None, SHA256])
def test_what_is_no_zip_is_refused_and_not_kept(
    publisher, tmp_path: Path, sent: bytes, sentence: str, sha256: str | None
) -> None:
    publisher.files = {"corpus.zip": sent}
    url = f"{publisher.url}/corpus.zip"
    with pytest.raises(UserError, match=sentence):
        extract([url], tmp_path, sha256=sha256)
    assert names(tmp_path) == set()
    publisher.files = {"corpus.zip": CONTENT}  # the server is mended
    assert extract([url], tmp_path, sha256=sha256).read_bytes() == CONTENT


def test_a_page_that_a_redirect_leads_to_is_refused(publisher, tmp_path: Path) -> None:
    publisher.files = {"login": PAGE}
    publisher.redirects = {"corpus.zip": "/login"}
    with pytest.raises(UserError, match=r"What .*/corpus\.zip sent is not a zip but a web page"):
        extract([f"{publisher.url}/corpus.zip"], tmp_path)
    assert names(tmp_path) == set()


def test_a_page_that_was_taken_for_the_zip_before_is_replaced(publisher, tmp_path: Path) -> None:
    publisher.files = {"corpus.zip": zip_of(b"old")}
    url = f"{publisher.url}/corpus.zip"
    extract([url], tmp_path).write_bytes(PAGE)
    publisher.files = {"corpus.zip": CONTENT}
    assert extract([url], tmp_path).read_bytes() == CONTENT


def test_of_unknown_length_and_cut_off_it_is_no_zip(publisher, tmp_path: Path) -> None:
    publisher.files, publisher.tells_length = {"corpus.zip": CONTENT[:-100]}, False
    with pytest.raises(UserError, match="is not a zip but a zip without its end; try again"):
        extract([f"{publisher.url}/corpus.zip"], tmp_path)
    assert names(tmp_path) == set()


def test_a_mirror_with_another_file_is_found_by_the_digest(publish, tmp_path: Path) -> None:
    servers = [publish(files={"corpus.zip": content}, rate=2_000_000) for content in (CONTENT, OTHER)]
    with pytest.raises(
        UserError, match=r"or one of its 1 mirrors sent does not have the digest .* give another mirror"
    ):
        extract([f"{server.url}/corpus.zip" for server in servers], tmp_path, sha256=SHA256)
    assert names(tmp_path) == set()


def test_another_size_is_refused_before_the_file_has_come(publisher, tmp_path: Path) -> None:
    publisher.files, publisher.rate = {"corpus.zip": CONTENT}, 100_000
    with pytest.raises(UserError, match=rf"has {len(CONTENT)} bytes, not the requested 17"):
        extract([f"{publisher.url}/corpus.zip"], tmp_path, size=17)
    assert publisher.sent < len(CONTENT) / 2
    assert "corpus.zip" not in names(tmp_path)


def test_another_size_is_refused_in_the_end(publisher, tmp_path: Path) -> None:
    publisher.files, publisher.tells_length = {"corpus.zip": CONTENT}, False
    url = f"{publisher.url}/corpus.zip"
    with pytest.raises(UserError, match=rf"has {len(CONTENT)} bytes, not the requested 17"):
        extract([url], tmp_path, size=17)
    assert "corpus.zip" not in names(tmp_path)
    assert extract([url], tmp_path, size=len(CONTENT)).read_bytes() == CONTENT


def test_a_mirror_that_lacks_the_file_is_no_hindrance(publisher, tmp_path: Path) -> None:
    publisher.files = {"corpus.zip": CONTENT}
    urls = [f"{publisher.url}/away.zip", f"{publisher.url}/corpus.zip"]
    assert extract(urls, tmp_path, sha256=SHA256).read_bytes() == CONTENT


def test_a_server_without_range_requests_will_do(publisher, tmp_path: Path) -> None:
    publisher.files, publisher.ranges = {"corpus.zip": CONTENT}, False
    assert extract([f"{publisher.url}/corpus.zip"], tmp_path, sha256=SHA256).read_bytes() == CONTENT


def test_into_a_store_and_not_again(publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNAP2CAPTION_STATE_DIR", str(tmp_path / "state"))
    place = (tmp_path / "store").as_uri()  # a folder behind the interface of stores
    publisher.files = {"corpus.zip": CONTENT}
    url = f"{publisher.url}/corpus.zip"
    put = FileStore.put

    def lose(store: FileStore, key: str, source: Path | bytes, *, sha256: str) -> None:
        if key == "corpus.zip":
            raise StoreError("the machine is gone")
        put(store, key, source, sha256=sha256)

    with monkeypatch.context() as lost:
        lost.setattr(FileStore, "put", lose)
        with pytest.raises(StoreError):
            extract([url], place)
    with publisher.unneeded():
        assert extract([url], place) == f"{place}/corpus.zip"  # it had come whole, to this machine
        assert (tmp_path / "store" / "corpus.zip").read_bytes() == CONTENT
        assert names(tmp_path / "state" / "downloads") == set()
        for asked in ({}, {"sha256": SHA256}, {"size": len(CONTENT)}):
            assert extract([url], place, **asked) == f"{place}/corpus.zip"
        assert extract(["http://127.0.0.1:9/corpus.zip"], place, sha256=SHA256) == f"{place}/corpus.zip"
    publisher.files = {"corpus.zip": OTHER, "moved/corpus.zip": OTHER}
    extract([f"{publisher.url}/moved/corpus.zip"], place)
    assert (tmp_path / "store" / "corpus.zip").read_bytes() == OTHER
    (tmp_path / "store" / "corpus.zip.source.json").unlink()
    with pytest.raises(UserError, match=r"corpus.zip exists and was not fetched from these URLs"):
        extract([url], place)
