import io
import json
import tarfile

import pytest

from snap2caption.datasets.shards import read_shard, read_stream
from snap2caption.errors import UserError
from snap2caption.post import Post

pytestmark = pytest.mark.unit

ROW = json.dumps({"id": "7", "city": "chicago", "caption": "By the lake", "hashtags": ["lake"]}).encode()


@pytest.fixture
def write(tmp_path):
    def write_it(*members):
        path = tmp_path / "train-000000.tar"
        with tarfile.open(path, "w") as archive:
            for name, data in members:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        return path

    return write_it


def test_samples_come_with_their_photos(write):
    shard = write(("000.jpg", b"first"), ("000.json", ROW), ("001.json", ROW), ("001.jpg", b"second"))
    one, two = read_shard(shard)
    assert (one.id, one.city, one.post) == ("7", "chicago", Post("By the lake", ("lake",)))
    assert one.group is None
    assert (one.photo(), two.photo()) == (b"first", b"second")
    with shard.open("rb") as stream:
        assert list(read_stream(stream, shard.name)) == [one.loaded(), two.loaded()]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("000.jpg", b"x")], r"holds half of a sample \(000\)"),
        ([("000.jpg", b"x"), ("000.json", b"{")], r"Sample 000 in shard train-000000.tar .*JSON"),
        ([("000.jpg", b"x"), ("000.json", b'{"id": 1}')], "Sample 000 in .*id: Input should be a valid string"),
        (
            [("000.jpg", b"x"), ("000.json", ROW.replace(b'["lake"]', b'"lake"'))],
            "hashtags: Input should be a valid array",
        ),
        # It would be learned as the word None.
        (
            [("000.jpg", b"x"), ("000.json", b'{"id": "a", "city": "c", "caption": null, "hashtags": []}')],
            "caption: Input should be",
        ),
    ],
)
def test_a_wrong_shard_is_one_sentence(write, members, message):
    shard = write(*members)
    with pytest.raises(UserError, match=message):
        list(read_shard(shard))
    with pytest.raises(UserError, match=message), shard.open("rb") as stream:
        list(read_stream(stream, shard.name))


def test_a_sample_names_its_group(write):
    (sample,) = read_shard(write(("000.jpg", b"x"), ("000.json", ROW.replace(b"}", b', "group": "3"}'))))
    assert sample.group == "3"


def test_a_cut_off_shard_is_one_sentence(write):
    shard = write(("000.jpg", b"x" * 5000), ("000.json", ROW))
    shard.write_bytes(shard.read_bytes()[:3000])
    with pytest.raises(UserError):
        list(read_shard(shard))
