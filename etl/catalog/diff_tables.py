"""Difference between two dataset versions as text tables."""

from rich.table import Table

from etl.catalog.diff import Change, VersionDiff
from etl.text_tables import cell, new_table, render
from snap2caption.datasets.manifest import SPLITS


def draw(found: VersionDiff) -> str:
    """Return the difference as text tables, as wide as the terminal."""
    head = f"From {found.before.version} ({found.before.uri})\nto   {found.after.version} ({found.after.uri})"
    tables = [table for table in _tables(found) if table.row_count]
    same = not any(change.samples for change in found.changes.values())
    last = (
        "Both have the same samples."
        if same
        else f"Hashtags: {found.new_hashtags:,} new, {found.lost_hashtags:,} gone."
    )
    return render([head, *tables, last])


def _tables(found: VersionDiff) -> list[Table]:
    settings = new_table("Settings", "setting", "before", "after")
    for name, (before, after) in found.settings.items():
        settings.add_row(name, cell(before), cell(after))
    if found.before.corpus != found.after.corpus:
        settings.add_row("corpus's SHA-256", found.before.corpus, found.after.corpus)
    splits = new_table("Splits and cities", "city", *SPLITS, numbers_from=1)
    splits.add_row("all", *(_change(found.splits[split]) for split in SPLITS))
    for city, counts in found.cities.items():
        splits.add_row(cell(city), *(_change(counts[split]) for split in SPLITS))
    dropped = new_table("Dropped", "reason", "samples", numbers_from=1)
    for reason, change in found.dropped.items():
        dropped.add_row(cell(reason), _change(change))
    changes = new_table("Changed samples", "change", "samples", *SPLITS, "cities", numbers_from=1)
    for kind, changed in found.changes.items():
        if changed.samples:
            cities = ", ".join(f"{cell(city)} {count:,}" for city, count in changed.cities.items())
            by_split = (f"{changed.splits.get(split, 0):,}" for split in SPLITS)
            changes.add_row(kind, f"{changed.samples:,}", *by_split, cities)
    moves = new_table("Moved", "from", "to", "samples", numbers_from=2)
    for move in found.moves:
        moves.add_row(move.before, move.after, f"{move.samples:,}")
    hashtags = new_table("Hashtags that changed most", "hashtag", "posts", numbers_from=1)
    for tag in found.hashtags:
        hashtags.add_row(cell(f"#{tag.tag}"), _change(tag))
    return [settings, splits, dropped, changes, moves, hashtags]


def _change(change: Change) -> str:
    difference = change.after - change.before
    return f"{change.after:,} ({difference:+,})" if difference else f"{change.after:,}"
