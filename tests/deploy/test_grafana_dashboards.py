"""Every panel asks for what workers serve and rules record; the files are those that the script writes."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.promql import faults, served
from tests.deploy.test_prometheus_rules import RECORDED

ROOT = Path(__file__).resolve().parents[2]
GRAFANA = ROOT / "deploy" / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))
DASHBOARDS = [json.loads(path.read_text(encoding="utf-8")) for path in FILES]
KNOWN = served() | dict.fromkeys(RECORDED, frozenset[str]())
QUERIES = [
    pytest.param(target["expr"], id=f"{dashboard['uid']}: {panel['title']}")
    for dashboard in DASHBOARDS
    for panel in dashboard["panels"]
    for target in panel["targets"]
]


def provisioned(what: str) -> Any:
    """A provisioning file."""
    return yaml.safe_load((GRAFANA / "provisioning" / what / "sightline.yml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("query", QUERIES)
def test_a_panel_asks_for_what_is_served(query: str) -> None:
    """A panel about a metric that was renamed would show nothing, as if all were well."""
    assert faults(query.replace("$__rate_interval", "5m"), KNOWN) == []


def test_every_metric_of_the_service_is_on_a_dashboard() -> None:
    """What is worth exporting is worth showing; the process's own files and address space are not ours."""
    shown = " ".join(str(parameter.values[0]) for parameter in QUERIES)
    recorded = " ".join(rule["expr"] for name, rule in RECORDED.items() if name in shown)
    named = set(re.findall(r"\bsightline_\w+", shown + recorded))
    missing = {
        name
        for name in KNOWN
        if name.startswith("sightline_") and not name.endswith(("_created", "_sum", "_count"))
    } - named
    assert missing == set()


def test_the_files_are_what_the_script_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """`make dashboards` writes them anew."""
    monkeypatch.syspath_prepend(str(GRAFANA))
    monkeypatch.delitem(sys.modules, "make_dashboards", raising=False)
    from make_dashboards import DASHBOARDS as WANTED
    from make_dashboards import as_json

    assert {f"{d.uid}.json": as_json(d) + "\n" for d in WANTED} == {
        path.name: path.read_text(encoding="utf-8") for path in FILES
    }


def test_panels_fill_the_grid_and_do_not_overlap() -> None:
    """24 columns wide; no two panels of a dashboard share a cell."""
    for dashboard in DASHBOARDS:
        cells = [
            (x, y)
            for place in (panel["gridPos"] for panel in dashboard["panels"])
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]
        assert len(cells) == len(set(cells)), dashboard["title"]
        assert {x for x, _ in cells} == set(range(24)), dashboard["title"]


def test_what_is_provisioned_is_what_the_panels_read_from() -> None:
    """One data source by its uid, one folder."""
    [source] = provisioned("datasources")["datasources"]
    [provider] = provisioned("dashboards")["providers"]
    asked = {
        part["datasource"]["uid"]
        for dashboard in DASHBOARDS
        for panel in dashboard["panels"]
        for part in (panel, *panel["targets"])
    }
    assert asked == {source["uid"]}
    assert provider["folder"] == "Sightline"
    assert len({dashboard["uid"] for dashboard in DASHBOARDS}) == len(DASHBOARDS) == 3
