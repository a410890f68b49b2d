"""Panels and dashboards as data, and the JSON of Grafana's classic schema that is made from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from grafana_foundation_sdk.builders import dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import TimeZoneBrowser
from grafana_foundation_sdk.models.dashboard import DataSourceRef, GridPos

RATE = "$__rate_interval"
"""The window of a rate: Grafana makes it at least four scrapes long."""

SCRAPE_INTERVAL = "15s"
"""The least step of a graph, as in `prometheus.yml`. `RATE` depends on it."""

_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_WIDTH, _HEIGHT, _COLUMNS = 12, 8, 24


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression, and the legend of its series."""

    expression: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A graph, or with *single* a number. *unit* is one of Grafana's unit ids."""

    title: str
    description: str
    unit: str
    queries: Sequence[Query]
    single: bool = False


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A page of panels. *uid* is its address."""

    uid: str
    title: str
    description: str
    panels: Sequence[Panel]


def to_json(page: Dashboard) -> str:
    """Return a dashboard's JSON, for Grafana's file provisioning. Equal dashboards have equal bytes."""
    builder = (
        dashboard.Dashboard(page.title)
        .uid(page.uid)
        .description(page.description)
        .tags(["snap2caption"])
        .readonly()
        .timezone(TimeZoneBrowser)
        .time("now-6h", "now")
        .refresh("30s")
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    )
    for number, panel in enumerate(page.panels):
        column = (number * _WIDTH) % _COLUMNS
        position = GridPos(h=_HEIGHT, w=_WIDTH, x=column, y=number * _WIDTH // _COLUMNS * _HEIGHT)
        builder.with_panel(_panel(panel, number + 1, position))
    return JSONEncoder(sort_keys=True, indent=2).encode(builder.build()) + "\n"


def _panel(panel: Panel, number: int, position: GridPos) -> stat.Panel | timeseries.Panel:
    made = (stat.Panel() if panel.single else timeseries.Panel().fill_opacity(8)).id(number)
    made.title(panel.title).description(panel.description).unit(panel.unit).datasource(_SOURCE)
    made.interval(SCRAPE_INTERVAL).grid_pos(position)
    for name, query in zip(ascii_uppercase, panel.queries, strict=False):
        target = prometheus.Dataquery().ref_id(name).expr(query.expression).legend_format(query.legend)
        target.datasource(_SOURCE)
        made.with_target(target.instant() if panel.single else target.range())
    return made
