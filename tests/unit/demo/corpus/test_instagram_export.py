import zipfile

import pytest

from demo.corpus.creator import Habit, has_habit, make_post
from demo.corpus.instagram_export import write_export
from etl.import_corpus import import_corpus
from snap2caption.errors import UserError
from snap2caption.post import parse

pytestmark = pytest.mark.unit

POSTS = 3


@pytest.mark.parametrize("habit", Habit)
def test_it_is_read_as_an_export_of_instagrams(tmp_path, habit):
    export = write_export(tmp_path / "new" / "export.zip", POSTS, 0, habit)
    imported = import_corpus(export, tmp_path / "corpus.zip")
    assert (imported.reader, imported.posts, imported.skipped) == ("instagram", POSTS, {})
    with zipfile.ZipFile(imported.path) as corpus:
        texts = {corpus.read(name).decode() for name in corpus.namelist() if name.endswith(".txt")}
    assert texts == {make_post(0, number, habit).caption.decode() for number in range(POSTS)}
    assert all(has_habit(parse(text).caption, habit) for text in texts)


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    first, second = (write_export(tmp_path / name, POSTS, seed=0).read_bytes() for name in "ab")
    assert first == second != write_export(tmp_path / "c", POSTS, seed=1).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


def test_where_it_cant_be_written_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"is a folder; give the name of the zip"):
        write_export(tmp_path, POSTS, seed=0)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"The export can't be written to .*; free some space or choose another place"):
        write_export(tmp_path / "file" / "export.zip", POSTS, seed=0)
