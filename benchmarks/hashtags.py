"""Hashtag benchmark: the hashtags that the service chooses, compared with those that people gave a test split.

``python -m benchmarks.hashtags DATASET HYPOTHESES``. DATASET is the URI or folder of a version. HYPOTHESES has the
model's posts, one per line: ``{"id", "caption"}``, as `snap2caption score` reads them. Precision and recall are
those of the first five hashtags, averaged over the posts.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from snap2caption.datasets.shards import read_shard
from snap2caption.datasets.version import DatasetVersion
from snap2caption.hashtags.banned import read_banned
from snap2caption.hashtags.ranking import PostContext, rank
from snap2caption.hashtags.table import HashtagTable
from snap2caption.post import Post, parse

SHOWN = 5
"""Hashtags that Instagram shows."""

Choose = Callable[[Post], Sequence[str]]


def measure(posts: Sequence[Post], people: Sequence[Post], choose: Choose) -> tuple[float, float]:
    """Return precision and recall of the first `SHOWN` hashtags chosen for *posts* against those of *people*."""
    hits = [len({*choose(post)[:SHOWN]} & {*real.hashtags}) for post, real in zip(posts, people, strict=True)]
    found = sum(hit / len(real.hashtags) for hit, real in zip(hits, people, strict=True))
    return sum(hits) / SHOWN / len(hits), found / len(hits)


def main(where: str, hypotheses: Path) -> None:
    """Print the table."""
    dataset = DatasetVersion.open(where)
    written = {row["id"]: parse(row["caption"]) for row in map(json.loads, hypotheses.read_text().splitlines())}
    with tempfile.TemporaryDirectory() as folder:
        shards = [dataset.fetch(shard, Path(folder)) for shard in dataset.manifest.splits["test"].shards]
        samples = [sample for shard in shards for sample in read_shard(shard)]
    table, banned = HashtagTable.read(dataset.uri), read_banned()
    people = [sample.post for sample in samples if sample.id in written and sample.post.hashtags]
    posts = [written[sample.id] for sample in samples if sample.id in written and sample.post.hashtags]
    popular = table.popular(SHOWN)

    def ranked(post: Post) -> list[str]:
        return [one.tag for one in rank(PostContext(post.caption, post.hashtags), table, banned, SHOWN)]

    rows: list[tuple[str, Sequence[Post], Choose]] = [
        ("the most popular", posts, lambda _: popular),
        ("the model's own, then the most popular", posts, lambda post: list(dict.fromkeys([*post.hashtags, *popular]))),
        ("ranked", posts, ranked),
        ("ranked, from a person's caption alone", [Post(post.caption) for post in people], ranked),
    ]
    print(f"{len(posts)} posts\n\n| hashtags | precision@{SHOWN} | recall@{SHOWN} |\n|---|---|---|")
    for name, given, choose in rows:
        precision, recall = measure(given, people, choose)
        print(f"| {name} | {precision:.3f} | {recall:.3f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.hashtags", description="Compare chosen hashtags with people's."
    )
    parser.add_argument("dataset", metavar="DATASET", help="URI or folder of a dataset version")
    parser.add_argument(
        "hypotheses", metavar="HYPOTHESES", type=Path, help="the model's posts, as `snap2caption score` reads them"
    )
    arguments = parser.parse_args()
    main(arguments.dataset, arguments.hypotheses)
