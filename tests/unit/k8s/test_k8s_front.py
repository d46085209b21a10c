"""Every route of the code is led to the service that has it, and no limit is below the service's own."""

import re

import pytest

from anteroom.settings import Settings
from tests.unit.k8s.fronting import CONF, answers, paths_of_every_process, routes, table
from tests.unit.k8s.rendering import OVERLAYS, WORKLOADS, named, of_kind, ours, rendered

UNITS = {"m": 1 << 20, "g": 1 << 30}


async def test_every_route_is_answered_by_its_service() -> None:
    found = await routes()
    assert {service for service, _, _ in found} == set(WORKLOADS)
    wrong = [
        f"{method} {address}: {answers(method, address)}, not {service}"
        for service, method, address in found
        if answers(method, address) != service
    ]
    assert wrong == []


@pytest.mark.parametrize("overlay", OVERLAYS)
async def test_probes_ask_what_every_process_answers(overlay: str) -> None:
    known = await paths_of_every_process()
    for document, container in ours(rendered(overlay)):
        if document["kind"] not in {"Deployment", "StatefulSet"}:
            continue
        asked = {p: container[p]["httpGet"]["path"] for p in container if p.endswith("Probe")}
        assert asked == {
            "startupProbe": "/healthz",
            "livenessProbe": "/healthz",
            "readinessProbe": "/readyz",
        }
        assert set(asked.values()) <= known
        assert {container[p]["httpGet"]["port"] for p in asked} == {"http"}


async def test_no_line_of_the_table_is_idle() -> None:
    """A pattern that decides nothing is for a route that is gone."""
    used = set()
    for _, method, address in await routes():
        used |= {next((i for i, (p, _) in enumerate(table()) if p.search(f"{method} {address}")), None)}
    assert set(range(len(table()))) - used == set()


def test_upstreams_are_the_services_of_the_cluster() -> None:
    upstreams = dict(re.findall(r"upstream (\w+) \{ server (\S+);", CONF.read_text()))
    assert upstreams.keys() == set(WORKLOADS)
    found = rendered("base")
    for name, address in upstreams.items():
        service = named(found, "Service", name)["spec"]
        assert address == f"{name}:{service['ports'][0]['port']}"
        assert service.get("clusterIP") != "None", "its address is looked up once"


def test_limits_of_the_front_are_not_below_those_of_the_services() -> None:
    upload, text = Settings().upload, CONF.read_text()
    sizes = [int(n) * UNITS[unit] for n, unit in re.findall(r"client_max_body_size (\d+)([mg]);", text)]
    ordinary, manifest, files = sizes
    assert ordinary < manifest == upload.max_manifest_bytes
    assert files == upload.max_submission_bytes
    assert files >= upload.max_file_bytes
    (body,) = re.findall(r"client_body_timeout (\d+)s;", text)
    assert int(body) > upload.body_timeout_s, "the service says what was wrong; the front would only hang up"


def test_nothing_is_logged_and_metrics_stay_inside() -> None:
    text = CONF.read_text()
    assert "access_log off;" in text
    assert re.findall(r"error_log \S+ (\w+);", text) == ["crit"]
    assert re.search(r"location = /metrics \{\s+return 404;", text)


def test_the_ingress_leads_to_the_front_with_tls_and_without_limits_of_its_own() -> None:
    found = rendered("overlays/prod")
    (ingress,) = of_kind(found, "Ingress")
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert (path["path"], path["pathType"]) == ("/", "Prefix")
    assert path["backend"]["service"]["name"] == "front"
    assert ingress["spec"]["tls"][0]["hosts"] == [rule["host"]]
    config = next(d for d in of_kind(found, "ConfigMap") if "ANTEROOM_SITE_URL" in d["data"])["data"]
    assert config["ANTEROOM_SITE_URL"] == f"https://{rule['host']}"
    sizes = {value for key, value in ingress["metadata"]["annotations"].items() if "body-size" in key}
    assert sizes == {"0"}
