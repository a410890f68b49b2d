import random
from contextlib import closing

import pytest

from etl.readers.names import SeenNames, SortedNames

pytestmark = pytest.mark.unit


def test_names_are_in_the_order_of_a_list() -> None:
    source = random.Random(7)
    names = ["".join(source.choices("aZ/é\ud800\udcff\uffff🌉 \0", k=source.randint(0, 5))) for _ in range(3000)]
    with closing(SortedNames(names)) as found:
        assert list(found) == sorted(set(names))
        assert all(name in found for name in names)
        assert "absent" not in found


def test_a_name_is_new_once() -> None:
    with closing(SeenNames()) as seen:
        assert [seen.add(name) for name in ("a", "b", "a", "\ud800", "\ud800")] == [True, True, False, True, False]
