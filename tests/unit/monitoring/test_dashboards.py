"""Grafana's files: generated from their source, whole by the SDK's schema, and complete in what people need to read them."""

import json
import re

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard as Schema

from monitoring.dashboards.pages import FOLDER, PAGES
from monitoring.dashboards.panels import RATE, SCRAPE_INTERVAL, Dashboard, Panel, to_json
from snap2caption.settings import ROOT

pytestmark = pytest.mark.unit

PANELS = [pytest.param(panel, id=f"{page.uid}/{panel.title}") for page in PAGES for panel in page.panels]

UNITS = {
    "bool_yes_no", "Bps", "bytes", "celsius", "mbytes", "ops", "percent", "percentunit", "reqps", "s", "short",
}  # fmt: skip
"""Of Grafana's unit ids, those in use."""


def test_the_files_are_what_the_source_makes() -> None:
    generated = {f"{page.uid}.json": to_json(page) for page in PAGES}
    found = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    assert generated == found, "run python -m monitoring.dashboards"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.uid)
def test_a_file_keeps_to_the_schema(page: Dashboard) -> None:
    content = json.loads(to_json(page))
    again = json.loads(JSONEncoder(sort_keys=True).encode(Schema.from_json(content)))
    assert again == content
    assert [variable["name"] for variable in content["templating"]["list"]] == ["datasource"]
    targets = [target for panel in content["panels"] for target in panel["targets"]]
    assert {target["datasource"]["uid"] for target in targets} == {"${datasource}"}
    for panel in content["panels"]:
        names = [target["refId"] for target in panel["targets"]]
        assert names == sorted({*names}) != []
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in content["panels"]}
    assert len(places) == len(content["panels"])


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_says_what_it_shows_in_which_unit(panel: Panel) -> None:
    assert panel.description.endswith(".")
    assert panel.unit in UNITS
    assert all(query.legend for query in panel.queries)


@pytest.mark.parametrize("panel", PANELS)
def test_rates_follow_the_step_of_the_graph(panel: Panel) -> None:
    for query in panel.queries:
        assert {*re.findall(r"\brate\([^\[]*\[([^\]]+)\]", query.expression)} <= {RATE}
        # An increase over a stated time says so in the panel.
        assert {*re.findall(r"\bincrease\([^\[]*\[([^\]]+)\]", query.expression)} <= {"1h", "1d"}


def test_the_least_step_is_prometheuss() -> None:
    config = yaml.safe_load((ROOT / "monitoring" / "prometheus" / "prometheus.yml").read_text())
    assert config["global"]["scrape_interval"] == SCRAPE_INTERVAL
    sources = ROOT / "monitoring" / "grafana" / "provisioning" / "datasources" / "prometheus.yml"
    assert yaml.safe_load(sources.read_text())["datasources"][0]["jsonData"]["timeInterval"] == SCRAPE_INTERVAL
