"""Writes the dashboards' JSON from the panels named here: `make dashboards`."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "dashboards"
SOURCE = {"type": "prometheus", "uid": "sightline-prometheus"}
"""The data source that `provisioning/` makes."""
WIDTH = 24
"""Of Grafana's grid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel, over the whole height of its row."""

    title: str
    text: str
    """What it shows, and when to worry."""
    queries: tuple[tuple[str, str], ...]
    """(PromQL, legend) each."""
    unit: str = "short"
    kind: str = "timeseries"
    bad_over: float | None = None
    """Drawn red from this value on."""
    bad_under: float | None = None
    stacked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """A question, and the panels that answer it."""

    uid: str
    title: str
    rows: tuple[tuple[Panel, ...], ...]


def stat(title: str, text: str, query: str, unit: str = "short", **limits: Any) -> Panel:
    """One number of now."""
    return Panel(title=title, text=text, queries=((query, ""),), unit=unit, kind="stat", **limits)


def plot(title: str, text: str, unit: str, *queries: tuple[str, str], **more: Any) -> Panel:
    """Lines over time."""
    return Panel(title=title, text=text, queries=queries, unit=unit, **more)


def quantiles(name: str, by: str, *shares: str) -> tuple[tuple[str, str], ...]:
    """Quantiles of a histogram, a line for each share and value of a label."""
    rate = f"sum by (le, {by}) (rate({name}_bucket[$__rate_interval]))"
    return tuple(
        (f"histogram_quantile({share}, {rate})", f"p{share[2:]:0<2} {{{{{by}}}}}") for share in shares
    )


def rate(name: str, by: str, matchers: str = "") -> tuple[str, str]:
    """A counter's rate, a line for each value of a label."""
    return f"sum by ({by}) (rate({name}{matchers}[$__rate_interval]))", f"{{{{{by}}}}}"


HEALTHY = Dashboard(
    uid="sightline-healthy",
    title="1. Is it healthy?",
    rows=(
        (
            stat(
                "Ready workers",
                "Answer /readyz by 200. A standby does not.",
                "sum(sightline_ready)",
                bad_under=1,
            ),
            stat(
                "Partitions without an owner",
                "Their subjects get no decision.",
                "max(sightline_configured_partitions) - sum(sightline_assigned_partitions)",
                bad_over=1,
            ),
            stat(
                "Late decisions, last hour",
                "Delivered over 2 s after their window could close. 1 % is allowed over 30 days.",
                "sightline:decisions_overdue:ratio_rate1h",
                "percentunit",
                bad_over=0.01,
            ),
            stat(
                "Events without a decision, last hour",
                "New events that ended in the dead letters of codec or join. 1 % is allowed over 30 days.",
                "sightline:events_unhandled:ratio_rate1h",
                "percentunit",
                bad_over=0.01,
            ),
            stat(
                "Oldest without an answer",
                "Age of the oldest record under way. A window and its grace are normal.",
                "max(time() - sightline_oldest_pending_timestamp_seconds)",
                "s",
                bad_over=120,
            ),
            stat(
                "Alerts that fire",
                "docs/runbook.md has a section for each.",
                'count(ALERTS{alertname=~"Sightline.+", alertstate="firing"}) or vector(0)',
                bad_over=1,
            ),
        ),
        (
            plot(
                "How late decisions are",
                "From the first moment at which a window could close to its decision's delivery.",
                "s",
                *quantiles("sightline_decision_overdue_seconds", "closed_by", "0.5", "0.99"),
                bad_over=2,
            ),
            plot(
                "Watermark lag",
                "The heartbeat of each partition: it stays small without events too.",
                "s",
                ("time() - max by (partition) (sightline_watermark_timestamp_seconds)", "{{partition}}"),
                bad_over=120,
            ),
            plot(
                "Records not read yet",
                "On the broker. Growing: more comes in than is worked off.",
                "short",
                ("sum by (partition) (sightline_consumer_lag_records)", "{{partition}}"),
                stacked=True,
            ),
        ),
        (
            plot(
                "Time in a stage, p95",
                "Which stage makes decisions late. `join` holds the wait for deadlines.",
                "s",
                *quantiles("sightline_stage_seconds", "stage", "0.95"),
            ),
            plot(
                "Inputs in a stage",
                "A stage that fills is the one that all others wait for.",
                "short",
                ("sum by (stage) (sightline_stage_in_progress)", "{{stage}}"),
            ),
            plot(
                "Since a stage last finished one",
                "Grows while nothing comes; alone among others, it names the stage that stands.",
                "s",
                ("time() - max by (stage) (sightline_stage_last_processed_timestamp_seconds)", "{{stage}}"),
            ),
        ),
        (
            plot(
                "Changes of the gallery not applied",
                "Decisions of that worker miss them.",
                "short",
                ("sightline_gallery_behind_records", "{{instance}}"),
            ),
            plot(
                "Since the gallery's topic answered",
                "By worker. Over a minute: the broker, or the right to read it.",
                "s",
                ("time() - sightline_gallery_answered_timestamp_seconds", "{{instance}}"),
                bad_over=60,
            ),
            plot(
                "Age of the event loop's last turn",
                "Over 15 s the worker is not alive, and /healthz says so.",
                "s",
                ("sightline_loop_age_seconds", "{{instance}}"),
                bad_over=15,
            ),
        ),
        (
            plot(
                "CPU",
                "Cores in use, by worker.",
                "short",
                ('rate(process_cpu_seconds_total{job="sightline"}[$__rate_interval])', "{{instance}}"),
            ),
            plot(
                "Memory",
                "Resident, by worker.",
                "bytes",
                ('process_resident_memory_bytes{job="sightline"}', "{{instance}}"),
            ),
        ),
    ),
)

DECISIONS = rate("sightline_decisions_total", "outcome")[0]
RIGHT = Dashboard(
    uid="sightline-right",
    title="2. Is it right?",
    rows=(
        (
            plot(
                "Outcomes",
                "Share of each. A sudden change of the mixture is worth a look.",
                "percentunit",
                (
                    f"{DECISIONS} / scalar(sum({DECISIONS}))",
                    "{{outcome}}",
                ),
                stacked=True,
            ),
            plot(
                "Share of matches, hour and week",
                "SightlineAccuracyDrift tells when the hour leaves the week by half.",
                "percentunit",
                ("sightline:decisions_matched:ratio_rate1h", "hour"),
                ("sightline:decisions_matched:ratio_rate7d", "week"),
            ),
            plot(
                "Reasons and warnings",
                "Why decisions are no matches, and what they warn of.",
                "cps",
                rate("sightline_decision_reasons_total", "reason"),
            ),
        ),
        (
            plot(
                "Best score",
                "Of each decision's best candidate, in nats. Moves with cameras, light and public.",
                "short",
                *quantiles("sightline_best_score_nats", "mask", "0.1", "0.5", "0.9"),
            ),
            plot(
                "Threshold",
                "Score that a match needs, with its 95 % interval. It rises as the gallery grows.",
                "short",
                ("max by (mask) (sightline_threshold_nats)", "{{mask}}"),
                ("max by (mask) (sightline_threshold_low_nats)", "{{mask}}, low"),
                ("max by (mask) (sightline_threshold_high_nats)", "{{mask}}, high"),
            ),
            plot(
                "Margin",
                "Score of rank 1 less that of rank 2. Small margins among matches: look-alikes.",
                "short",
                *quantiles("sightline_score_margin_nats", "mask", "0.1", "0.5", "0.9"),
            ),
        ),
        (
            plot(
                "What thresholds stand on",
                "`gallery`: its own statistics. `policy`: too few are enrolled for them.",
                "short",
                ("max by (mask, basis) (sightline_threshold_basis) == 1", "{{mask}} {{basis}}"),
            ),
            plot(
                "Leave-one-out searches",
                "Of the gallery by itself. They and the interval say how sure a threshold is.",
                "short",
                ("max by (mask) (sightline_leave_one_out_searches)", "{{mask}}"),
            ),
            plot(
                "Target",
                "Share of strangers that may be returned as somebody, as asked for.",
                "percentunit",
                ("max by (mask) (sightline_target_fpir)", "{{mask}}"),
            ),
            plot(
                "What decisions were made from",
                "Decisions by the modalities that were usable. Fewer images: a camera.",
                "cps",
                rate("sightline_decisions_total", "mask"),
                stacked=True,
            ),
            plot(
                "Samples without a usable feature",
                "By reason. `no_face` is framing, `undecodable_image` an encoder.",
                "cps",
                rate("sightline_dead_letters_total", "reason", '{stage="features"}'),
            ),
        ),
    ),
)

DOING = Dashboard(
    uid="sightline-doing",
    title="3. What is it doing?",
    rows=(
        (
            plot(
                "Events in",
                "Records read, by modality.",
                "cps",
                rate("sightline_events_received_total", "modality"),
            ),
            plot(
                "Bytes in",
                "Their values.",
                "Bps",
                rate("sightline_events_received_bytes_total", "modality"),
                stacked=True,
            ),
            plot(
                "Windows closed",
                "`complete` did not wait; `deadline` lacked something.",
                "cps",
                rate("sightline_windows_closed_total", "closed_by"),
                stacked=True,
            ),
            plot(
                "Decisions", "By outcome.", "cps", rate("sightline_decisions_total", "outcome"), stacked=True
            ),
        ),
        (
            plot(
                "Set aside", "Dead letters by reason.", "cps", rate("sightline_dead_letters_total", "reason")
            ),
            plot(
                "Not new",
                "Duplicates, and events that were settled before a restart.",
                "cps",
                ("sum(rate(sightline_events_duplicated_total[$__rate_interval]))", "duplicates"),
                ("sum(rate(sightline_events_skipped_total[$__rate_interval]))", "settled before"),
            ),
            plot(
                "In the join",
                "Events and subjects that wait for their other half or their deadline.",
                "short",
                ("sum(sightline_join_held_events)", "events"),
                ("sum(sightline_join_held_subjects)", "subjects"),
                ("sum(sightline_unacknowledged_records)", "records not acknowledged"),
            ),
            plot(
                "From the last input to the decision",
                "With the wait for deadlines, by what the decision was made from.",
                "s",
                *quantiles("sightline_decision_latency_seconds", "mask", "0.5", "0.95"),
            ),
        ),
        (
            plot(
                "Into stages",
                "Inputs a second that each stage took in.",
                "cps",
                rate("sightline_stage_in_total", "stage"),
            ),
            plot(
                "Out of the join",
                "Events that the join took in, windows that it let go, and decisions before that.",
                "cps",
                ("sum(rate(sightline_events_accepted_total[$__rate_interval]))", "events in"),
                ("sum(rate(sightline_windows_closed_total[$__rate_interval]))", "windows out"),
                ("sum(rate(sightline_early_decisions_total[$__rate_interval]))", "early decisions"),
            ),
            plot(
                "Gallery",
                "Who is enrolled.",
                "short",
                ("max(sightline_gallery_identities)", "identities"),
                ("max(sightline_gallery_templates)", "templates"),
            ),
            plot(
                "Enrolment",
                "Requests answered, by whether they were accepted.",
                "cps",
                rate("sightline_enrolments_total", "accepted"),
            ),
        ),
        (
            stat("Versions", "What runs.", "count by (version) (sightline_build_info)"),
            stat(
                "Gallery's version", "Equal in all workers.", "max by (instance) (sightline_gallery_version)"
            ),
            stat(
                "Since the gallery's last change",
                "By the clock of who made it.",
                "time() - max(sightline_gallery_changed_timestamp_seconds)",
                "s",
            ),
            stat(
                "Since the youngest start",
                "Of a worker.",
                'time() - max(process_start_time_seconds{job="sightline"})',
                "s",
            ),
        ),
    ),
)

DASHBOARDS = (HEALTHY, RIGHT, DOING)


def as_json(dashboard: Dashboard) -> str:
    """The file that Grafana reads."""
    return json.dumps(
        {
            "uid": dashboard.uid,
            "title": dashboard.title,
            "tags": ["sightline"],
            "schemaVersion": 39,
            "editable": False,
            "refresh": "30s",
            "time": {"from": "now-6h", "to": "now"},
            "links": [
                {"type": "dashboards", "title": "Sightline", "tags": ["sightline"], "asDropdown": False}
            ],
            "panels": list(_panels(dashboard.rows)),
        },
        indent=1,
    )


def _panels(rows: Sequence[Sequence[Panel]]) -> Iterator[dict[str, Any]]:
    number, top = 0, 0
    for row in rows:
        height = 4 if all(panel.kind == "stat" for panel in row) else 8
        for column, panel in enumerate(row):
            number += 1
            width = WIDTH // len(row)
            place = {"x": column * width, "y": top, "w": width, "h": height}
            yield {"id": number, "gridPos": place, **_panel(panel)}
        top += height


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": SOURCE,
        "targets": [
            {
                "refId": chr(ord("A") + n),
                "datasource": SOURCE,
                "expr": expr,
                "legendFormat": legend or "__auto",
            }
            for n, (expr, legend) in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.bad_over is not None:
        steps.append({"color": "red", "value": panel.bad_over})
    if panel.bad_under is not None:
        steps = [{"color": "red", "value": None}, {"color": "green", "value": panel.bad_under}]
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0} if panel.unit != "short" else {"unit": "short"}
    defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    if panel.kind == "timeseries":
        defaults["custom"] = {
            "thresholdsStyle": {"mode": "dashed" if len(steps) > 1 else "off"},
            "stacking": {"mode": "normal" if panel.stacked else "none"},
            "fillOpacity": 20 if panel.stacked else 0,
        }
    return defaults


def main() -> None:
    """Writes every file anew."""
    for dashboard in DASHBOARDS:
        (FOLDER / f"{dashboard.uid}.json").write_text(as_json(dashboard) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
