import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.transform.writing.shard_writer import _header

pytestmark = pytest.mark.unit

NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/"), min_size=1, max_size=100)


@given(NAMES, st.integers(0, 8**11 - 1))
def test_a_header_is_the_one_that_tarfile_writes(name: str, size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size = size
    assert _header(name, size) == member.tobuf(tarfile.USTAR_FORMAT)
