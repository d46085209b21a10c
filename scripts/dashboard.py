"""The Grafana dashboard, out of a list of panels: `python -m scripts.dashboard` writes it into k8s/; with
--check it only says whether it is as it should be."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[1] / "k8s" / "components" / "sight" / "dashboards" / "anteroom.json"
_SOURCE = {"type": "prometheus", "uid": "${source}"}
_WIDTH = 24


@dataclass(frozen=True)
class Panel:
    """`queries`: a legend and a query each. `limit`: from there on it is red."""

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: str = "timeseries"
    limit: float | None = None
    low: bool = False
    """Below the limit it is red, not above."""


def _work(share: str, kind: str, by: str) -> str:
    rate = f'sum by (le, {by}) (rate(anteroom_work_seconds_bucket{{kind="{kind}"}}[$__rate_interval]))'
    return f"histogram_quantile({share}, {rate})"


ROWS: dict[str, tuple[Panel, ...]] = {
    "At a glance": (
        Panel("Dead letters", (("", "max(anteroom_dead_letters)"),), kind="stat", limit=1),
        Panel(
            "Oldest unmatched study",
            (("", 'max(anteroom_oldest_study_seconds{state="unmatched"})'),),
            "s",
            "stat",
            4 * 3600,
        ),
        Panel(
            "Oldest unscanned files", (("", "max(anteroom_oldest_waiting_batch_seconds)"),), "s", "stat", 900
        ),
        Panel(
            "Deliveries that failed", (("", 'max(anteroom_studies{state="failed"})'),), kind="stat", limit=1
        ),
        Panel(
            "Who answers",
            (("{{neighbour}} {{name}}", "max by (neighbour, name) (anteroom_neighbour_up)"),),
            "bool_on_off",
            "stat",
            1,
            low=True,
        ),
        Panel(
            "Fullest disk",
            (("", "1 - min(anteroom_disk_free_bytes / anteroom_disk_size_bytes)"),),
            "percentunit",
            "stat",
            0.9,
        ),
    ),
    "What comes in and goes out": (
        Panel(
            "Bytes taken in",
            (("{{door}}", "sum by (door) (rate(anteroom_received_bytes_total[$__rate_interval]))"),),
            "Bps",
        ),
        Panel(
            "Files by what became of them",
            (("{{state}}", "sum by (state) (rate(anteroom_files_total[$__rate_interval]))"),),
            "cps",
        ),
        Panel(
            "Images proved in a PACS",
            (("", "sum(rate(anteroom_delivered_instances_total[$__rate_interval]))"),),
            "cps",
        ),
        Panel(
            "HL7 messages",
            (("{{answer}}", "sum by (answer) (rate(anteroom_hl7_messages_total[$__rate_interval]))"),),
            "cps",
        ),
        Panel(
            "Notices",
            (
                (
                    "{{channel}} {{state}}",
                    "sum by (channel, state) (increase(anteroom_notices_total[$__rate_interval]))",
                ),
            ),
        ),
    ),
    "What waits": (
        Panel("Studies", (("{{state}}", "max by (state) (anteroom_studies)"),)),
        Panel("Oldest study", (("{{state}}", "max by (state) (anteroom_oldest_study_seconds)"),), "s"),
        Panel(
            "Oldest files before the studies",
            (
                ("not scanned", "max(anteroom_oldest_waiting_batch_seconds)"),
                ("in the spool of {{pod}}", "max by (pod) (anteroom_oldest_spooled_seconds)"),
            ),
            "s",
        ),
        Panel(
            "Retention",
            (
                ("doubts of the clock", "max(anteroom_retention_doubts)"),
                ("more {{what}} than a look takes", "max by (what) (anteroom_retention_capped)"),
            ),
        ),
        Panel("Due tasks", (("{{service}}", "max by (service) (anteroom_tasks_due)"),)),
        Panel(
            "Most overdue task", (("{{service}}", "max by (service) (anteroom_oldest_task_seconds)"),), "s"
        ),
        Panel("Lag", (("{{group}} {{topic}}", "max by (group, topic) (anteroom_bus_lag_events) > 0"),)),
    ),
    "How quickly it goes": (
        Panel("Requests, 95 %", (("{{service}}", _work("0.95", "request", "service")),), "s"),
        Panel(
            "Requests by outcome",
            (
                (
                    "{{outcome}}",
                    'sum by (outcome) (rate(anteroom_work_seconds_count{kind="request"}[$__rate_interval]))',
                ),
            ),
            "reqps",
        ),
        Panel("Events, 95 %", (("{{service}}", _work("0.95", "event", "service")),), "s"),
        Panel("Tasks, 95 %", (("{{name}}", _work("0.95", "task", "name")),), "s"),
        Panel(
            "Work that failed",
            (
                (
                    "{{service}} {{kind}} {{name}}",
                    "sum by (service, kind, name) "
                    '(increase(anteroom_work_seconds_count{outcome="failed"}[$__rate_interval])) > 0',
                ),
            ),
        ),
        Panel(
            "Free on disk",
            (("{{pod}} {{folder}}", "min by (pod, folder) (anteroom_disk_free_bytes)"),),
            "bytes",
        ),
    ),
}


def dashboard() -> dict[str, Any]:
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        place = {"x": 0, "y": top, "w": _WIDTH, "h": 1}
        panels.append({"id": len(panels) + 1, "type": "row", "title": title, "gridPos": place, "panels": []})
        top += 1
        across = len(row) if row[0].kind == "stat" else 3
        height = 4 if row[0].kind == "stat" else 8
        for start in range(0, len(row), across):
            for column, panel in enumerate(row[start : start + across]):
                width = _WIDTH // across
                place = {"x": column * width, "y": top, "w": width, "h": height}
                panels.append({"id": len(panels) + 1, "gridPos": place, **_drawn(panel)})
            top += height
    return {
        "uid": "anteroom",
        "title": "Anteroom",
        "tags": ["anteroom"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
        },
        "panels": panels,
    }


def _drawn(panel: Panel) -> dict[str, Any]:
    well, bad = {"color": "green", "value": None}, {"color": "red", "value": panel.limit}
    if panel.low:
        well, bad = {"color": "red", "value": None}, {"color": "green", "value": panel.limit}
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.limit is not None:
        defaults["thresholds"] = {"mode": "absolute", "steps": [well, bad]}
    targets = [
        {"refId": chr(ord("A") + number), "datasource": _SOURCE, "expr": query, "legendFormat": legend}
        for number, (legend, query) in enumerate(panel.queries)
    ]
    return {
        "type": panel.kind,
        "title": panel.title,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": targets,
    }


def text() -> str:
    return json.dumps(dashboard(), indent=1) + "\n"


def main(arguments: list[str]) -> int:
    if "--check" in arguments:
        stale = not FILE.exists() or FILE.read_text() != text()
        print(f"{FILE.name} is not what the code says: python -m scripts.dashboard" if stale else "fresh")
        return int(stale)
    FILE.write_text(text())
    print(f"wrote {FILE.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
