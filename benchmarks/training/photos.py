"""Rendered photos with posts, as dataset samples."""

from demo.corpus.pairs import make_pair
from snap2caption.datasets.shards import Sample
from snap2caption.post import parse


def draw(count: int, seed: int) -> list[Sample]:
    """Return *count* samples, 300 x 300 pixels each; the same for the same *seed*."""
    pairs = [make_pair(seed, number) for number in range(count)]
    return [Sample(pair.id, pair.scene.city.value, parse(pair.caption.decode()), pair.image) for pair in pairs]
