"""Tables of URLs through the real img2dataset, from real servers on loopback; `make test-urls` says where it is."""

import csv
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from patience import LONGEST, until
from PIL import Image

from etl.import_corpus import import_corpus
from etl.readers.base import ReaderOptions
from snap2caption.errors import UserError

pytestmark = pytest.mark.integration

Publish = Callable[..., object]

real = pytest.mark.skipif("TEST_URLS" not in os.environ, reason="make test-urls installs img2dataset and runs it")


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the img2dataset of the environment, and photos from one address of this machine."""
    monkeypatch.setenv("SNAP2CAPTION_IMG2DATASET_PYTHON", os.environ.get("TEST_URLS") or sys.executable)
    monkeypatch.setenv("SNAP2CAPTION_IMG2DATASET_NETWORKS", '["127.0.0.1/32"]')


def photo(color: tuple[int, int, int] | str, form: str = "JPEG") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), color).save(stream, form)
    return stream.getvalue()


def write_csv(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="") as stream:
        table = csv.DictWriter(stream, rows[0])
        table.writeheader()
        table.writerows(rows)
    return path


def contents(corpus: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(corpus) as archive:
        return {Path(name).parent.name + Path(name).suffix: archive.read(name) for name in archive.namelist()}


@real
def test_what_can_be_downloaded_is_and_the_rest_is_counted(
    publish: Publish, loopback: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNAP2CAPTION_IMG2DATASET_TIMEOUT", "2")
    with_alpha = io.BytesIO()
    Image.new("RGBA", (64, 48), (1, 2, 3, 4)).save(with_alpha, "PNG")
    photos = {"oslo": photo("red"), "rome": with_alpha.getvalue(), "bonn": photo("blue", "WEBP")}
    publisher = publish(
        files={f"{city}.jpg": data for city, data in photos.items()}
        | {f"{tag}.jpg": photo("red") for tag in ("noai", "noindex", "other")}
        | {"page.jpg": b"<html>", "broken.jpg": photo("red")[:200], "large.jpg": bytes(33 << 20)},
        headers={
            "noai.jpg": [("X-Robots-Tag", "noarchive"), ("X-Robots-Tag", "img2dataset: noai, noimageai")],
            "noindex.jpg": [("X-Robots-Tag", "NOINDEX, unavailable_after: 1 Jan 2030")],
            "other.jpg": [("X-Robots-Tag", "googlebot: noindex")],
        },
        redirects={"moved.jpg": "/other.jpg", "inside.jpg": "http://127.0.0.2:1/secret.jpg"},
    )
    slow = publish(files={"slow.jpg": photo("red") + bytes(9000)}, rate=200)
    names = [*photos, "noai", "noindex", "other", "page", "broken", "large", "inside", "gone", "oslo", "moved"]
    found = [(f"{publisher.url}/{name}.jpg", f"Of {name} 🌉", name) for name in names]
    found += [(f"{slow.url}/slow.jpg", "Slow.", ""), ("file:///etc/passwd", "A file.", ""), ("", "None.", "")]
    found += [(f"{publisher.url}/oslo.jpg?2", "", "oslo"), ("http://127.0.0.2:1/a.jpg", "Inside.", "")]
    rows = [{"link": url, "alt": caption, "city": city} for url, caption, city in found]
    options = ReaderOptions(caption="alt", group="city", url="link")
    imported = import_corpus(write_csv(tmp_path / "urls.csv", rows), tmp_path / "corpus.zip", options=options)
    assert imported.reader == "urls"
    assert imported.groups == {"bonn": 1, "broken": 1, "moved": 1, "oslo": 1, "other": 1, "rome": 1}
    assert imported.skipped == {
        "duplicate": 1,
        "invalid_url": 2,
        "missing_caption": 1,
        "not_found": 1,
        "opted_out": 2,
        "oversized": 1,
        "private_address": 2,
        "too_slow": 1,
        "unsupported_image": 1,
    }
    inside = contents(imported.path)
    assert [inside["oslo.jpg"], inside["rome.png"], inside["bonn.webp"]] == list(photos.values())
    assert inside["oslo.txt"].decode() == "Of oslo 🌉"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus.zip", "urls.csv"]
    assert not [path for path in publisher.requested if "passwd" in path]


@real
def test_a_killed_download_goes_on_and_gives_the_same_corpus(publish: Publish, loopback: None, tmp_path: Path) -> None:
    publisher = publish(files={f"{number}.jpg": photo((number % 256, number // 256, 9)) for number in range(2300)})
    table = tmp_path / "urls.parquet"
    rows = [{"url": f"{publisher.url}/{number}.jpg", "caption": f"Day {number}."} for number in range(2300)]
    pq.write_table(pa.Table.from_pylist(rows), table)
    expected = import_corpus(table, tmp_path / "whole.zip").path.read_bytes()
    publisher.requested.clear()
    out = tmp_path / "out" / "corpus.zip"
    command = [sys.executable, "-m", "snap2caption", "import-corpus", str(table), f"--out={out}"]
    first, last = (out.parent / ".corpus.zip.download" / "shards" / f"0000{n}_stats.json" for n in (0, 2))
    with (tmp_path / "said").open("w") as said:
        process = psutil.Popen(command, stdout=said, stderr=said)
        until(lambda: first.exists() or process.poll() is not None, lambda: (tmp_path / "said").read_text())
        children = process.children(recursive=True)
        process.kill()
        process.wait()
        _, alive = psutil.wait_procs(children, timeout=LONGEST)
        assert children
        assert not alive
        assert first.exists()
        assert not last.exists()
        assert not out.exists()
        subprocess.run(command, stdout=said, stderr=said, check=True)
    assert out.read_bytes() == expected
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    times = [publisher.requested.count(f"/{number}.jpg") for number in range(1000)]
    assert times == [1] * 1000  # a part that is whole is not asked for again


def test_a_missing_column_is_told(loopback: None, tmp_path: Path) -> None:
    rows = [{"link": "http://example.com/a.jpg", "alt": "A day.", "city": "Oslo"}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "a.json").write_text(json.dumps(rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    write_csv(tmp_path / "a.csv", rows)
    (tmp_path / "a.tsv").write_text((tmp_path / "a.csv").read_text().replace(",", "\t"))
    for ending in ("csv", "tsv", "json", "jsonl", "parquet"):
        table = tmp_path / f"a.{ending}"
        for options, what in (
            (ReaderOptions(), "url for URLs; give --url-column"),
            (ReaderOptions(url="link"), "caption or text or .* for captions; give --caption-column"),
            (ReaderOptions("alt", "town", "link"), "town for groups; give --group-column"),
        ):
            with pytest.raises(UserError, match=rf"{table} has no column {what} one of: alt, city, link\.$"):
                import_corpus(table, tmp_path / "out" / "corpus.zip", options=options)
    assert not [*(tmp_path / "out").iterdir()]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.json", b"{}", "it is not a list of objects"),
        ("a.json", b"[1]", "item 1 is not an object"),
        ("a.jsonl", b"{", "can't be read"),
        ("a.csv", b"url,caption\n\xff,a\n", "can't be read"),
        ("a.parquet", b"PAR1", "can't be read"),
    ],
)
def test_a_damaged_table_is_told(name: str, content: bytes, sentence: str, loopback: None, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        import_corpus(tmp_path / name, tmp_path / "corpus.zip")


def test_nothing_to_download_is_told(loopback: None, tmp_path: Path) -> None:
    table = write_csv(tmp_path / "a.csv", [{"url": "file:///etc/passwd", "caption": "A."}])
    with pytest.raises(UserError, match=r"No post in .* can be used, read as urls \(invalid_url 1\)"):
        import_corpus(table, tmp_path / "corpus.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_what_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = write_csv(tmp_path / "a.csv", [{"url": "http://example.com/a.jpg", "caption": "A."}])
    monkeypatch.setenv("SNAP2CAPTION_IMG2DATASET_PYTHON", str(tmp_path / "python"))
    with pytest.raises(UserError, match=r"There is no .*python; set SNAP2CAPTION_IMG2DATASET_PYTHON to the Python"):
        import_corpus(table, tmp_path / "corpus.zip")
    monkeypatch.setenv("SNAP2CAPTION_IMG2DATASET_PYTHON", "")
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    with pytest.raises(UserError, match="is not installed; run `make url-tables`, or install it in an environment"):
        import_corpus(table, tmp_path / "corpus.zip")
    # Here is a Python, but no img2dataset.
    monkeypatch.setenv("SNAP2CAPTION_IMG2DATASET_PYTHON", sys.executable)
    with pytest.raises(UserError, match=r"img2dataset ended with an error; read .*img2dataset\.log"):
        import_corpus(table, tmp_path / "corpus.zip")
    with pytest.raises(UserError, match="is no table of URLs; give a file that ends in"):
        import_corpus(tmp_path, tmp_path / "corpus.zip", reader="urls")
    with pytest.raises(UserError, match="--url-column names a column of a table of URLs, which"):
        import_corpus(tmp_path, tmp_path / "corpus.zip", options=ReaderOptions(url="link"))
