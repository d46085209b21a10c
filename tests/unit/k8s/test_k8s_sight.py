"""Dashboards, alerts and scaling ask for what the code measures."""

import re

from scripts import dashboard as drawing
from services.portal.rules.state import State
from tests.unit.k8s.queries import FROM_THE_CLUSTER, alerts, asked, dashboard, known, queries
from tests.unit.k8s.rendering import K8S, SERVICES, matches, named, of_kind, ours, rendered, template

VALUES = {
    "state": {*(state.value for state in State), "sent", "failed"},
    "neighbour": {"destination", "antivirus", "mail", "events", "documents", "objects"},
    "kind": {"request", "event", "task", "message", "send"},
    "outcome": {"ok", "refused", "failed"},
    "service": set(SERVICES),
    "pod": {"upload-.*", "dicom-.*"},
    "answer": {"AA", "AE", "AR"},
}


def test_every_query_asks_for_a_metric_and_labels_that_there_are() -> None:
    there = known()
    assert len(asked()) >= len(list(queries()))
    for one in asked():
        assert one.name in there, (one.where, one.name)
        assert one.labels - FROM_THE_CLUSTER <= there[one.name], (one.where, one.labels)
        for label, value in one.values.items():
            assert value in VALUES[label], (one.where, label, value)


def test_what_an_alert_says_names_labels_that_its_query_keeps() -> None:
    for rule in alerts():
        mine = [one for one in asked() if one.where == rule["alert"]]
        kept = set().union(*(one.labels - one.values.keys() for one in mine))
        if "absent(" in rule["expr"]:
            # what is not there has the labels that were asked for
            kept |= set().union(*(one.values.keys() for one in mine))
        for text in rule["annotations"].values():
            assert set(re.findall(r"\$labels\.(\w+)", text)) <= kept, rule["alert"]


def test_what_must_wake_somebody_does() -> None:
    watched = {rule["alert"]: rule for rule in alerts()}
    assert len(watched) == len(alerts())
    wanted = (
        "Lag",
        "DeadLetters",
        "StudyUnmatched",
        "FilesUnscanned",
        "EventsStop",
        "DocumentsAway",
        "ObjectsAway",
        "PacsDown",
        "AntivirusDown",
        "DiskFull",
        "ClockLeapt",
    )
    assert {f"Anteroom{name}" for name in wanted} <= watched.keys()


def test_it_is_seen_when_a_service_is_gone() -> None:
    gone = [one.values for one in asked() if one.where == "AnteroomServiceGone"]
    assert {one["service"] for one in gone} == set(SERVICES)
    of_upload = [one.get("pod") for one in gone if one["service"] == "upload"]
    assert of_upload == ["upload-.*", "dicom-.*"]


def test_every_alert_says_what_to_do() -> None:
    text = (K8S / "README.md").read_text()
    section = text.split("## Alerts")[1].split("\n## ")[0]
    named_there = set(re.findall(r"`(Anteroom\w+)`", section))
    assert named_there == {rule["alert"] for rule in alerts()}


def test_the_dashboard_is_fresh_and_shows_everything_measured() -> None:
    assert drawing.FILE.read_text() == drawing.text()
    shown = {one.name for one in asked()}
    unshown = {name for name in known() if name not in shown and not name.endswith("_sum")}
    assert unshown == set()


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    found = named(rendered("overlays/prod"), "ConfigMap", "anteroom-dashboards")
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_prometheus_finds_and_reaches_the_metrics_of_every_pod_and_nothing_else() -> None:
    found = rendered("overlays/prod")
    (monitor,) = of_kind(found, "PodMonitor")
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    for document, container in ours(found):
        if container.get("ports"):
            labels = template(document)["metadata"]["labels"]
            assert matches(monitor["spec"]["selector"], labels), document["metadata"]["name"]
            assert endpoint["port"] in {port["name"] for port in container["ports"]}
    monitoring = {"namespaceSelector": {"matchLabels": {"anteroom/monitoring": "true"}}}
    for name in (*SERVICES, "dicom"):
        rules = named(found, "NetworkPolicy", name)["spec"]["ingress"]
        mine = [rule for rule in rules if monitoring in rule.get("from", [])]
        assert [[port["port"] for port in rule["ports"]] for rule in mine] == [["metrics"]]
        assert mine[0]["from"] == [monitoring]


def test_traces_may_leave_to_where_they_go() -> None:
    found = rendered("overlays/prod")
    config = next(d for d in of_kind(found, "ConfigMap") if "ANTEROOM_TELEMETRY_ENDPOINT" in d["data"])[
        "data"
    ]
    port = re.search(r":(\d+)/v1/traces$", config["ANTEROOM_TELEMETRY_ENDPOINT"])
    assert port is not None
    (rule,) = named(found, "NetworkPolicy", "traces")["spec"]["egress"]
    assert [entry["port"] for entry in rule["ports"]] == [int(port[1])]
