import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.samplers import EpochOrder, SharedBatches
from training.data.samples import chunks
from training.distributed import SINGLE_PROCESS, Ranks

pytestmark = pytest.mark.unit


def test_each_epoch_has_every_sample_once_in_its_own_order():
    lengths = [(7 * index) % 50 for index in range(101)]
    order = EpochOrder(lengths, 4, seed=0)
    first = list(order)
    assert sorted(first) == list(range(101))
    assert list(order) == first
    order.epoch = 1
    assert list(order) != first
    # The last batch is the small one, and batches hold samples of like length.
    spreads = [max(lengths[i] for i in batch) - min(lengths[i] for i in batch) for batch in chunks(first, 4)]
    assert sum(spreads) / len(spreads) < 12


@given(samples=st.integers(1, 60), share=st.integers(1, 5), size=st.integers(1, 5), seed=st.integers(0, 3))
def test_however_many_processes_the_batches_are_the_same(samples, share, size, seed):
    batch_size = share * size
    order = EpochOrder(list(range(samples)), batch_size, seed)
    alone = list(SharedBatches(order, batch_size, SINGLE_PROCESS))
    assert [sample for batch in alone for sample in batch] == list(order)
    shares = [SharedBatches(order, batch_size, Ranks(rank, size)) for rank in range(size)]
    # Each process takes as many steps as the others.
    assert {len(shared) for shared in shares} == {len(alone)}
    for batch, *parts in zip(alone, *shares, strict=True):
        assert [sample for part in parts for sample in part] == batch
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert all(len(part) == share for shared in shares for part in list(shared)[:-1])
