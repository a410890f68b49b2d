"""Distributions of what curation measured, as bars for the data card and the page of rejected samples."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from etl.transform.curation.settings import CurationSettings
from etl.transform.curation.steps import MEASURES, Measure

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# A rejected pair has what was measured until then, so that the values beyond a limit are counted, too.
_BARS = """
SELECT len(list_filter($edges, lambda edge: edge <= value)) AS bar, count(*)
FROM (SELECT measures[$name] AS value FROM checked)
WHERE value IS NOT NULL
GROUP BY bar
"""


class Distribution(NamedTuple):
    """A measure's values: how many pairs have one in each range."""

    title: str
    limits: str
    """The settings that limit it."""
    measured: int
    """Pairs that reached the step."""
    bars: list[tuple[str, int]]


def find_distributions(connection: "DuckDBPyConnection", settings: CurationSettings) -> list[Distribution]:
    """Return the distribution of each measure of the steps in *settings*.

    *connection* has the view ``checked`` (the results for each pair).
    """
    found = []
    for name, measure in MEASURES.items():
        counts = dict(connection.execute(_BARS, {"edges": list(measure.edges), "name": name}).fetchall())
        if counts:
            bars = [(label, counts.get(number, 0)) for number, label in enumerate(_labels(measure.edges))]
            found.append(Distribution(measure.title, _limits(measure, settings), sum(counts.values()), bars))
    return found


def _labels(edges: Sequence[float]) -> list[str]:
    between = [f"{low:g} to {high:g}" for low, high in itertools.pairwise(edges)]
    return [f"below {edges[0]:g}", *between, f"{edges[-1]:g} and more"]


def _limits(measure: Measure, settings: CurationSettings) -> str:
    values = []
    for name in measure.limits:
        section, setting = name.split(".")
        value = getattr(getattr(settings, section), setting, None)
        if value is not None:
            values.append(f"{setting} = {value}")
    return ", ".join(values)
