"""Scale of the transform: plan, slices, merge, list and diff, with a million pairs.

Usage: ``python -m benchmarks.etl.scale PAIRS [--quality Q] [--folder FOLDER]``. It needs twice the corpus's size on the
disk: 10 kB per pair with the default quality.
"""

import argparse
import json
import tempfile
from pathlib import Path

from benchmarks.commands import CommandCost, run_command
from benchmarks.etl.mosaics import write_mosaics
from demo.scenes.scene import City


def measure(folder: Path, pairs: int, quality: int) -> None:
    """Run each command in *folder*, and print a row for each."""
    corpus, store = folder / "corpus.zip", folder / "store"
    write_mosaics(corpus, pairs, quality)
    print(f"{pairs:,} pairs, {corpus.stat().st_size / 1e9:.1f} GB\n")
    print("| command | time | CPU time | pairs per second | peak memory of all processes |\n|---|---|---|---|---|")
    # A version of one city, and then one of all that keeps its splits: there is something to compare.
    run_command("transform", str(corpus), "--out", str(store), "--cities", [*City][-1].value)
    earlier = _newest(store)
    plan = run_command(
        "transform-plan", str(corpus), "--out", str(store), "--cities", "all", "--previous", earlier, "--json"
    )
    planned = json.loads(plan.output)
    slices = [run_command("transform-slice", planned["work"], str(number)) for number in range(int(planned["slices"]))]
    merge = run_command("transform-merge", planned["work"])
    sliced = CommandCost(
        sum(one.seconds for one in slices), sum(one.busy for one in slices), max(one.megabytes for one in slices), ""
    )
    whole = CommandCost(
        plan.seconds + sliced.seconds + merge.seconds,
        plan.busy + sliced.busy + merge.busy,
        max(plan.megabytes, sliced.megabytes, merge.megabytes),
        "",
    )
    _print("`transform-plan`", plan, pairs)
    _print(f"`transform-slice`, {len(slices)} times", sliced, pairs)
    _print("`transform-merge`", merge, pairs)
    _print("all three", whole, pairs)
    uri = store.as_uri()
    _print("`datasets list`", run_command("datasets", "list", uri), pairs)
    after = merge.output.split()[-1]
    _print("`datasets diff`", run_command("datasets", "diff", Path(earlier).name, Path(after).name, "--at", uri), pairs)


def _newest(store: Path) -> str:
    return str(max(store.glob("*/manifest.json"), key=lambda file: file.stat().st_mtime).parent)


def _print(what: str, cost: CommandCost, pairs: int) -> None:
    rate = pairs / cost.seconds
    print(f"| {what} | {cost.seconds:.0f} s | {cost.busy:.0f} s | {rate:,.0f} | {cost.megabytes:.0f} MB |", flush=True)


def main() -> None:
    """Print the table for the size that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--quality", type=int, default=40, help="of the photos' JPEGs: 75 makes them 16 kB large")
    parser.add_argument("--folder", type=Path, help="where the corpus and the store go; by default a temporary folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        measure(Path(folder), arguments.pairs, arguments.quality)


if __name__ == "__main__":
    main()
