"""Scale of the transform: plan, slices, merge, list and diff, with a million pairs.

Usage: ``python -m benchmarks.etl.scale PAIRS [--quality Q] [--side PIXELS] [--folder FOLDER] [--s3]``. It needs two to
three times the corpus's size on the disk: 8 kB per pair by default, 2 kB with ``--side 64``. With ``--s3``, corpus, work
and versions are in a SeaweedFS on this machine, and it needs four times the size.
"""

import argparse
import json
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.commands import CommandCost, run_command
from benchmarks.etl.mosaics import LEAST_SIDE, SIDE, write_mosaics
from demo.scenes.scene import City
from demo.stack.ports import Ports
from demo.stack.services.seaweedfs import seaweedfs
from demo.stack.stack import Stack
from etl.transform.atomic_files import digest_of
from snap2caption.store import open_store


def measure(folder: Path, pairs: int, quality: int, side: int, place: str | None) -> None:
    """Run each command, and print a row for each. All is in *folder* or, if given, at the prefix *place* in a store."""
    corpus, store = str(folder / "corpus.zip"), place or str(folder / "store")
    file = write_mosaics(folder / "corpus.zip", pairs, quality, side)
    print(f"{pairs:,} pairs, {file.stat().st_size / 1e9:.1f} GB{' in SeaweedFS' if place else ''}\n")
    if place:
        open_store(place).put("corpus.zip", file, sha256=digest_of(file))
        file.unlink()
        corpus = f"{place}/corpus.zip"
    print("| command | time | CPU time | pairs per second | peak memory of all processes |\n|---|---|---|---|---|")
    # A version of one city, and then one of all that keeps its splits: there is something to compare.
    first = folder / "store"
    run_command("transform", corpus, "--out", str(first), "--cities", [*City][-1].value)
    earlier = _newest(first)
    uri = place or first.as_uri()
    if place:
        run_command("load", earlier, place)
    plan = run_command("transform-plan", corpus, "--out", store, "--cities", "all", "--previous", earlier, "--json")
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
    parser.add_argument("--quality", type=int, default=40, help="of the photos' JPEGs")
    parser.add_argument("--side", type=int, default=SIDE, help="of the photos in pixels: 64 makes them 1 kB large")
    parser.add_argument("--folder", type=Path, help="where the corpus and the store go; by default a temporary folder")
    parser.add_argument("--s3", action="store_true", help="keep everything in an S3 server on this machine")
    arguments = parser.parse_args()
    if arguments.side < LEAST_SIDE:
        parser.error(f"--side must be at least {LEAST_SIDE}")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name, ExitStack() as running:
        folder, place = Path(name), None
        if arguments.s3:
            server, environment, _ = seaweedfs(folder, Ports(folder / "ports.json"))
            os.environ.update(environment | {"SNAP2CAPTION_STATE_DIR": str(folder / "state")})
            running.enter_context(Stack(folder)).start([server])
            place = "s3://scale/etl"
        measure(folder, arguments.pairs, arguments.quality, arguments.side, place)


if __name__ == "__main__":
    main()
