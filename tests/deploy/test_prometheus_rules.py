"""The alerts ask for what workers serve, lead to their runbook, and are tested firing and silent."""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from stream.worker.metrics import OVERDUE_S
from tests.deploy.promql import faults, served

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "prometheus"
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
HANDBOOK = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def load(name: str) -> Any:
    """A file of the folder."""
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


RULES = [rule for group in load("sightline.rules.yml")["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDED = {rule["record"]: rule for rule in RULES if "record" in rule}
BY_REASON = {"sightline:dead_letters:increase10m": frozenset({"reason"})}
"""Recorded series that keep a label."""


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_for_what_is_served(rule: dict[str, Any]) -> None:
    """A metric or a label that was renamed would make an alert silent for ever."""
    known = served() | {name: BY_REASON.get(name, frozenset()) for name in RECORDED}
    assert faults(rule["expr"], known) == []


def test_the_reader_of_queries_sees_what_is_not_there() -> None:
    """The check above can fail: by name, by matcher, by grouping."""
    known = served()
    assert faults("rate(sightline_gone_total[5m])", known) == ["no metric sightline_gone_total"]
    assert faults('sightline_ready{mask="image"}', known) == ["sightline_ready has no label mask"]
    assert faults("sum by (reason) (rate(sightline_decisions_total[5m]))", known) == [
        "sightline_decisions_total has no label reason"
    ]


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_is_wrong_and_where_to_read_on(name: str) -> None:
    """Severity, summary, description, and a section of the runbook under its own name."""
    alert = ALERTS[name]
    assert alert["labels"].keys() == {"severity"}
    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert alert["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert alert["annotations"]["runbook_url"] == f"docs/runbook.md#{name.lower()}"
    assert re.search(rf"^## {name}$", RUNBOOK, re.MULTILINE)


def test_the_books_know_no_other_alerts() -> None:
    """The runbook's sections and the handbook's table are those of the rules, in their order and severity."""
    assert re.findall(r"^## (Sightline\w+)$", RUNBOOK, re.MULTILINE) == list(ALERTS)
    documented = re.findall(r"^\| `(Sightline\w+)` \| (\w+) \|", HANDBOOK, re.MULTILINE)
    assert documented == [(name, alert["labels"]["severity"]) for name, alert in ALERTS.items()]


def test_each_alert_is_tested_firing_and_silent() -> None:
    """Promtool runs the cases (`make rules`); here it is seen that none was forgotten."""
    cases = defaultdict(set)
    for case in load("sightline.tests.yml")["tests"]:
        for check in case["alert_rule_test"]:
            cases[check["alertname"]].add(bool(check["exp_alerts"]))
    assert cases == {name: {True, False} for name in ALERTS}


def test_a_window_of_a_burn_rate_is_what_its_name_says() -> None:
    """`ratio_rate30m` over five minutes would page for nothing."""
    for name, rule in RECORDED.items():
        windows = set(re.findall(r"\[(\w+)\]", rule["expr"]))
        assert windows == {re.sub(r".*(?:rate|increase)", "", name)}, name


def test_the_objective_of_freshness_is_a_bound_of_its_histogram() -> None:
    """`le` names a bucket that exists; another one selects nothing."""
    asked = {bound for rule in RULES for bound in re.findall(r'le="([^"]+)"', rule["expr"])}
    assert asked == {"2.0"}
    assert float(asked.pop()) in OVERDUE_S


def test_prometheus_reads_these_rules_and_scrapes_under_the_name_that_they_ask_for() -> None:
    """The job's name is part of an alert."""
    config = load("prometheus.yml")
    assert config["rule_files"] == ["sightline.rules.yml"]
    jobs = {job["job_name"] for job in config["scrape_configs"]}
    asked = {job for rule in RULES for job in re.findall(r'job="([^"]+)"', rule["expr"])}
    assert asked == jobs == {"sightline"}
