"""Threads that compute: those of a short piece of work do not outlive it."""

from collections.abc import Iterator

import psutil
import pytest
import torch
from patience import until

from snap2caption.errors import UserError
from snap2caption.runtime.openmp import with_own_team

pytestmark = pytest.mark.unit


@pytest.fixture
def two_threads() -> Iterator[None]:
    usual = torch.get_num_threads()
    yield
    torch.set_num_threads(usual)


def threads() -> set[int]:
    return {thread.id for thread in psutil.Process().threads()}


def multiply() -> set[int]:
    """Compute with a team of two, and return the process's threads meanwhile."""
    torch.set_num_threads(2)
    torch.ones(512, 512).matmul(torch.ones(512, 512))
    return threads()


@pytest.mark.usefixtures("two_threads")
def test_a_team_ends_with_its_work() -> None:
    with_own_team(multiply)  # starts what torch starts once in a process
    before = threads()
    its = with_own_team(multiply) - before
    assert len(its) >= 2
    until(lambda: not its & threads())


def test_an_error_is_raised_to_the_caller() -> None:
    def fail() -> None:
        raise UserError("There is no such model.")

    with pytest.raises(UserError, match="no such model"):
        with_own_team(fail)
