"""Curation benchmark: time and memory per pair of each step, beside the plain transform in the same run.

``python -m benchmarks.etl.curation --pairs 20000`` runs whole transforms: the table of docs/benchmarks.md.
``--check --pairs 300`` takes the CPU time of the check alone, in one process, which other work on the machine disturbs
less.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.commands import run_command
from benchmarks.etl.transform import CITIES, PROCESSES, corpus
from benchmarks.table import TableRow
from etl.transform.archive.corpus import open_corpus
from etl.transform.cleaning.check import check
from etl.transform.curation.settings import CurationSettings, load_curation
from etl.transform.curation.steps import Curator
from etl.transform.stages.check_slice import read_pairs
from etl.transform.stages.plan import find_cities, write_members, write_pairs
from snap2caption.formats import strict_yaml

PAIRS = 20_000
MOST = 3.0
"""Times that the plain transform takes which all steps of the example together may take."""
EXAMPLE = Path("configs/curation/instagram.yaml")
EXTRA = {"faces": {"max_faces": 5}, "nsfw": {"max_score": 0.8}, "resize": {"max_side": 256}}
"""Settings of the steps that the example leaves out."""

PLAIN, ALL = "plain transform", "all of these"


def run(folder: Path, pairs: int = PAIRS, runs: int = 3) -> list[TableRow]:
    """Compare the transform with all steps of the example with the plain one, in time and in CPU time.

    The benchmark fails if it takes more than `MOST` times as long.
    """
    corpus(pairs)
    found = compare_with_plain(pairs, load_curation(EXAMPLE), folder / "case", runs)
    if found.slower > MOST:
        sys.exit(f"The curated transform takes {found.slower:.2f} times as long as the plain one, more than {MOST:g}.")
    what = f"transform with all steps of {EXAMPLE.name}, {pairs} pairs, {PROCESSES} processes"
    seconds, busy = found.plain[:2]
    return [
        TableRow(what, PLAIN, found.seconds, seconds, 1 / found.slower),
        TableRow("the same, CPU time", PLAIN, found.busy, busy, 1 / found.busier),
    ]


@dataclass(frozen=True, slots=True)
class CurationCost:
    """A curated transform beside plain ones: medians over the runs, and of the ratios run by run."""

    seconds: float
    busy: float
    """CPU seconds on all cores."""
    memory: float
    """Megabytes resident at the highest, of all processes."""
    slower: float
    busier: float
    more: float
    """CPU seconds beyond the plain transform's."""
    plain: tuple[float, float, float]
    """Seconds, CPU seconds and megabytes of the plain transform."""


def compare_with_plain(pairs: int, settings: CurationSettings | None, folder: Path, runs: int) -> CurationCost:
    """Run the transform with *settings* *runs* times, each beside a plain one."""
    found = [(measure(pairs, None, folder), measure(pairs, settings, folder)) for _ in range(runs)]
    ours = [statistics.median(values) for values in zip(*(one for _, one in found), strict=True)]
    seconds, busy, memory = (statistics.median(values) for values in zip(*(plain for plain, _ in found), strict=True))
    slower, busier = (statistics.median(one[which] / plain[which] for plain, one in found) for which in (0, 1))
    more = statistics.median(one[1] - plain[1] for plain, one in found)
    return CurationCost(*ours, slower, busier, more, (seconds, busy, memory))


def cases(example: Path) -> dict[str, CurationSettings | None]:
    """Return the settings of each row: no step, each step of *example*, all of them, those with resizing, and each of
    `EXTRA`.
    """
    whole = load_curation(example)
    content = json.loads(whole.model_dump_json(exclude_none=True))
    alone = {name: {name: content[name]} for name in whole.steps()}
    found = {name: CurationSettings.model_validate_json(json.dumps(one)) for name, one in alone.items()}
    more = {name: CurationSettings.model_validate_json(json.dumps({name: one})) for name, one in EXTRA.items()}
    resized = CurationSettings.model_validate_json(json.dumps(content | {"resize": EXTRA["resize"]}))
    return {PLAIN: None, **found, ALL: whole, f"{ALL}, and resize": resized, **more}


def measure(pairs: int, settings: CurationSettings | None, folder: Path) -> tuple[float, float, float]:
    """Return the seconds of one transform, its CPU time on all cores, and the megabytes that its processes had
    resident at their highest.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    command = ["transform", str(corpus(pairs)), "--out", str(folder / "out"), "--cities", ",".join(CITIES)]
    if settings is not None:
        file = folder / "curation.yaml"
        file.write_text(strict_yaml.dump(json.loads(settings.model_dump_json(exclude_none=True))))
        command += ["--curation", str(file)]
    took = run_command(*command)
    return took.seconds, took.busy, took.megabytes


def check_cases(pairs: int, example: Path, runs: int) -> None:
    """Print the CPU time per pair of the check with each step, in this process, each beside the check without any."""
    found = corpus(pairs)
    with tempfile.TemporaryDirectory() as name:
        members, plan = Path(name) / "members.parquet", Path(name) / "pairs.parquet"
        write_members(found, members)
        write_pairs(members, plan, list(find_cities(members)), pairs)
        places = list(read_pairs(plan, 0))

    def busy(curator: Curator | None) -> float:
        with open_corpus(found) as archive:
            started = time.process_time()
            for _ in check(archive, places, curator=curator):
                pass
        return (time.process_time() - started) / len(places) * 1e6

    print("| step | µs per pair | more | by plain |\n|---|---|---|---|")
    for row, settings in cases(example).items():
        curator = None if settings is None else Curator(settings)
        busy(curator)  # loads what the step needs
        times = [(busy(None), busy(curator)) for _ in range(runs)]
        ours, more, ratio = (
            statistics.median(values)
            for values in zip(*((own, own - plain, own / plain) for plain, own in times), strict=True)
        )
        print(f"| {row} | {ours:.0f} | {more:.0f} | {ratio:.2f} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--runs", type=int, default=3, help="runs of each row, each beside a plain transform")
    parser.add_argument("--example", type=Path, default=EXAMPLE)
    parser.add_argument("--only", action="append", help="a row, such as blur; may be given several times")
    parser.add_argument("--check", action="store_true", help="only the check, in this process")
    arguments = parser.parse_args()
    if arguments.check:
        check_cases(arguments.pairs, arguments.example, arguments.runs)
        return
    print(f"{arguments.pairs} pairs, {PROCESSES} processes; medians of {arguments.runs} runs\n")
    print("| step | seconds | by plain | CPU seconds | by plain | more CPU µs per pair | MB | more kB per pair |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "case"
        measure(arguments.pairs, None, folder)  # warms the disk's cache up
        for row, settings in cases(arguments.example).items():
            if arguments.only and row not in arguments.only:
                continue
            found = compare_with_plain(arguments.pairs, settings, folder, arguments.runs)
            more, kilobytes = (
                found.more / arguments.pairs * 1e6,
                (found.memory - found.plain[2]) / arguments.pairs * 1e3,
            )
            print(
                f"| {row} | {found.seconds:.1f} | {found.slower:.2f} | {found.busy:.1f} | {found.busier:.2f} | "
                f"{more:.0f} | {found.memory:.0f} | {kilobytes:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
