"""Central directory reader: hostile and large archives, byte by byte."""

import io
import itertools
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from etl.transform.archive import central_directory
from etl.transform.archive.central_directory import CentralDirectory, DirectoryEntry
from etl.transform.stages.plan import write_members, write_pairs
from snap2caption.errors import UserError

pytestmark = pytest.mark.unit

CAPTION, IMAGE = (f"{kind}_resized_1M/cities_instagram/chicago/{{}}" for kind in ("captions", "img"))
LIE = 0xFFFFFFFF
LARGEST = 1 << 32


@dataclass
class Told:
    """A member, and what the directory tells of it."""

    name: str
    data: bytes = b"data"
    offset: int | None = None
    """None: the truth."""
    size: int | None = None
    compressed: int | None = None
    extra: bytes = b""


def write_zip(
    path: Path, members: list[Told], *, count: int | None = None, comment: bytes = b"", big: bool = False
) -> None:
    """Write an archive of stored members (APPNOTE.TXT 4.3); *big*: with the end record of archives over 4 GB."""
    body, records = b"", b""
    for member in members:
        name, crc, length = member.name.encode(), zlib.crc32(member.data), len(member.data)
        offset = len(body) if member.offset is None else member.offset
        sizes = (
            length if member.compressed is None else member.compressed,
            length if member.size is None else member.size,
        )
        body += struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 0x21, crc, length, length, len(name), 0)
        body += name + member.data
        records += struct.pack(
            "<4s6H3L5H2L",
            b"PK\x01\x02",
            20,
            20,
            0,
            0,
            0,
            0x21,
            crc,
            *sizes,
            len(name),
            len(member.extra),
            0,
            0,
            0,
            0,
            offset,
        )
        records += name + member.extra
    total, start = len(members) if count is None else count, len(body)
    end = b""
    if big:
        at = start + len(records)
        end = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, total, total, len(records), start)
        end += struct.pack("<4sLQL", b"PK\x06\x07", 0, at, 1)
        total, start = 0xFFFF, LIE
    numbers = (0, 0, total, total, LIE if big else len(records), start, len(comment))
    path.write_bytes(body + records + end + struct.pack("<4s4H2LH", b"PK\x05\x06", *numbers) + comment)


def entries(path: Path) -> list[DirectoryEntry]:
    with path.open("rb") as stream:
        return list(CentralDirectory(path, stream).entries())


def pairs(path: Path) -> tuple[list[str], dict[str, int]]:
    table = path.with_name("pairs.parquet")
    members = path.with_name("members.parquet")
    write_members(path, members)
    _, dropped = write_pairs(members, table, ["chicago"], 10)
    return pq.read_table(table)["id"].to_pylist(), dropped


def pair(id_: str) -> list[Told]:
    return [Told(IMAGE.format(f"{id_}.jpg"), b"photo"), Told(CAPTION.format(f"{id_}.txt"), b"caption")]


def refuse(path: Path, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as refused:
        pairs(path)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("comment", [b"", b"a comment", b"PK\x05\x06 in a comment"])
@pytest.mark.parametrize("big", [False, True])
def test_an_archive_reads_as_zipfile_reads_it(tmp_path: Path, *, big: bool, comment: bytes) -> None:
    path = tmp_path / "corpus.zip"
    write_zip(path, [*pair("1"), *pair("2")], comment=comment, big=big)
    assert pairs(path) == (["1", "2"], {})
    write_zip(tmp_path / "plain.zip", [*pair("1"), *pair("2")], big=big)
    with zipfile.ZipFile(tmp_path / "plain.zip") as archive:
        expected = [
            (info.filename, info.header_offset, info.compress_size, info.file_size, info.CRC)
            for info in archive.infolist()
        ]
    assert [(found.name, found.offset, found.compressed, found.size, found.crc) for found in entries(path)] == expected


def test_numbers_over_32_bits_come_from_the_extra_field(tmp_path: Path) -> None:
    other, zip64 = struct.pack("<HHL", 0x5455, 4, 7), struct.pack("<HHQQ", 1, 16, 5 << 32, 6 << 32)
    write_zip(tmp_path / "a.zip", [Told("a", size=LIE, offset=LIE, extra=other + zip64)], big=True)
    (found,) = entries(tmp_path / "a.zip")
    assert (found.size, found.compressed, found.offset) == (5 << 32, 4, 6 << 32)


@pytest.mark.parametrize("extra", [b"", b"\x01", struct.pack("<HHL", 1, 4, 7), struct.pack("<HH", 1, 999)])
def test_an_extra_field_that_lacks_them_is_no_crash(tmp_path: Path, extra: bytes) -> None:
    write_zip(tmp_path / "a.zip", [*pair("1"), Told(IMAGE.format("2.jpg"), size=LIE, offset=LIE, extra=extra)])
    assert pairs(tmp_path / "a.zip") == (["1"], {"oversized": 1})


def test_the_directory_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(central_directory, "_CHUNK", 1000)
    write_zip(tmp_path / "corpus.zip", [member for number in range(300) for member in pair(f"{number:03d}")])
    assert len(pairs(tmp_path / "corpus.zip")[0]) == 300


def test_a_bomb_by_count_is_refused(tmp_path: Path) -> None:
    count = central_directory.MAX_MEMBERS + 1
    write_zip(tmp_path / "bomb.zip", pair("1"), count=count, big=True)
    refuse(tmp_path / "bomb.zip", f"has {count} members")


@pytest.mark.parametrize("count", [1, 3])
def test_a_directory_of_another_length_than_it_says_is_refused(tmp_path: Path, count: int) -> None:
    write_zip(tmp_path / "corpus.zip", pair("1"), count=count)
    refuse(tmp_path / "corpus.zip", "directory of .* is damaged")


def test_a_damaged_directory_is_refused_or_reads_as_well(tmp_path: Path) -> None:
    """Never anything but a result or a refusal."""
    path = tmp_path / "corpus.zip"
    write_zip(path, [*pair("1"), *pair("2")], big=True)
    whole = path.read_bytes()
    for at in range(whole.index(b"PK\x01\x02"), len(whole)):
        for value in (0x00, 0xFF, whole[at] ^ 0x10):
            path.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
            try:
                entries(path)
            except UserError:
                continue


@pytest.mark.parametrize("part", [0.2, 0.9, 0.99])
def test_a_cut_off_archive_is_one_sentence(tmp_path: Path, part: float) -> None:
    write_zip(tmp_path / "corpus.zip", [member for number in range(20) for member in pair(str(number))])
    whole = (tmp_path / "corpus.zip").read_bytes()
    (tmp_path / "corpus.zip").write_bytes(whole[: int(len(whole) * part)])
    refuse(tmp_path / "corpus.zip", "is not a zip, or is cut off")


def test_an_archive_that_lost_its_beginning_is_refused(tmp_path: Path) -> None:
    write_zip(tmp_path / "corpus.zip", pair("1"))
    (tmp_path / "corpus.zip").write_bytes((tmp_path / "corpus.zip").read_bytes()[10:])
    refuse(tmp_path / "corpus.zip", "is damaged")


def test_members_that_share_bytes_are_dropped(tmp_path: Path) -> None:
    """As in Fifield's bombs, where many members of the directory are one kernel of data."""
    kernel = Told(IMAGE.format("1.jpg"), b"kernel" * 100)
    again = [Told(IMAGE.format(f"{number}.jpg"), b"", 0, 600, 600) for number in (2, 3, 4)]
    captions = [Told(CAPTION.format(f"{number}.txt"), b"caption") for number in (1, 2, 3, 4)]
    write_zip(tmp_path / "bomb.zip", [kernel, *again, *captions, *pair("5")])
    assert pairs(tmp_path / "bomb.zip") == (["5"], {"overlapping": 4})


def test_a_member_that_holds_others_is_dropped_with_them(tmp_path: Path) -> None:
    """Quoted: the data of the first goes over the local headers of the next."""
    quoted = pair("2")
    length = sum(30 + len(member.name) + len(member.data) for member in quoted)
    outer = Told(IMAGE.format("1.jpg"), b"photo", None, 5 + length, 5 + length)
    write_zip(tmp_path / "bomb.zip", [outer, *quoted, Told(CAPTION.format("1.txt")), *pair("3")])
    assert pairs(tmp_path / "bomb.zip") == (["3"], {"overlapping": 2})


def test_whatever_shares_bytes_with_a_foreign_member_is_dropped(tmp_path: Path) -> None:
    write_zip(tmp_path / "bomb.zip", [*pair("1"), Told("README.md", b"", 0), *pair("2")])
    assert pairs(tmp_path / "bomb.zip") == (["2"], {"overlapping": 1})


@pytest.mark.parametrize("offset", [10_000, LIE - 1])
def test_a_member_outside_the_archive_is_dropped(tmp_path: Path, offset: int) -> None:
    write_zip(tmp_path / "corpus.zip", [Told(IMAGE.format("1.jpg"), offset=offset), pair("1")[1], *pair("2")])
    assert pairs(tmp_path / "corpus.zip") == (["2"], {"out_of_bounds": 1})


def test_a_member_that_goes_on_into_the_directory_is_dropped(tmp_path: Path) -> None:
    write_zip(tmp_path / "corpus.zip", [*pair("2"), pair("1")[0], Told(CAPTION.format("1.txt"), b"x", None, 30, 30)])
    assert pairs(tmp_path / "corpus.zip") == (["2"], {"out_of_bounds": 1})


def test_the_same_name_twice_is_one_post(tmp_path: Path) -> None:
    write_zip(tmp_path / "corpus.zip", [*pair("1"), *pair("1"), *pair("2")])
    assert pairs(tmp_path / "corpus.zip") == (["1", "2"], {"duplicate": 1})


def test_a_name_that_is_no_text_is_unsafe(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(IMAGE.format("é.jpg"), "photo")
    path = tmp_path / "corpus.zip"
    path.write_bytes(stream.getvalue().replace("é".encode(), b"\xff\xff"))
    assert pairs(path) == ([], {"unsafe_path": 1})


def test_zeros_in_names_are_unsafe(tmp_path: Path) -> None:
    write_zip(tmp_path / "corpus.zip", [Told(IMAGE.format("1.jpg\0.txt")), *pair("2")])
    assert pairs(tmp_path / "corpus.zip") == (["2"], {"unsafe_path": 1})


@pytest.mark.parametrize("after", [b"\r\n", bytes(100_000), b"PK\x05\x06"])
@pytest.mark.parametrize("before", [b"", b"#!/bin/sh\n" * 50])
@pytest.mark.parametrize("big", [False, True])
def test_what_lies_before_and_after_an_archive_does_no_harm(
    tmp_path: Path, *, big: bool, before: bytes, after: bytes
) -> None:
    path = tmp_path / "corpus.zip"
    write_zip(path, [*pair("1"), *pair("2")], big=big, comment=b"a comment")
    path.write_bytes(before + path.read_bytes() + after)
    assert pairs(path) == (["1", "2"], {})
    whole = path.read_bytes()
    assert [whole[found.offset :].startswith(b"PK\x03\x04") for found in entries(path)] == [True] * 4


def test_a_count_that_wraps_as_on_macos_is_read(tmp_path: Path) -> None:
    count = 0x10000 + 4
    names = [IMAGE.format(f"{number}.jpg").encode() for number in range(count)]
    bodies = [
        struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 0x21, 0, 0, 0, len(name), 0) + name for name in names
    ]
    offsets = itertools.accumulate(map(len, bodies), initial=0)
    records = b"".join(
        struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0x21, 0, 0, 0, len(name), 0, 0, 0, 0, 0, offset)
        + name
        for name, offset in zip(names, offsets, strict=False)
    )
    body = b"".join(bodies)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count & 0xFFFF, count & 0xFFFF, len(records), len(body), 0)
    (tmp_path / "corpus.zip").write_bytes(body + records + end)
    found = entries(tmp_path / "corpus.zip")
    assert (len(found), found[-1].name, found[-1].offset) == (count, names[-1].decode(), len(body) - len(bodies[-1]))


def test_offsets_that_wrap_as_on_macos_are_read(tmp_path: Path) -> None:
    path, names = tmp_path / "corpus.zip", ("1", "2", "3")
    places, records = (100, (4 << 30) + 50, (4 << 30) + 9000), b""
    with path.open("wb") as archive:
        for name, place in zip(names, places, strict=True):
            archive.seek(place)  # a hole: it takes no room on the disk
            archive.write(struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 0x21, 0, 0, 0, 1, 0) + name.encode())
            numbers = (20, 20, 0, 0, 0, 0x21, 0, 0, 0, 1, 0, 0, 0, 0, 0, place % LARGEST)
            records += struct.pack("<4s6H3L5H2L", b"PK\x01\x02", *numbers) + name.encode()
        start = archive.tell()
        archive.write(records + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 3, 3, len(records), start % LARGEST, 0))
    assert [(found.name, found.offset) for found in entries(path)] == list(zip(names, places, strict=True))
