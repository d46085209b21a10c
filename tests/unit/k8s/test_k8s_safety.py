"""What every workload must be: restricted, alone with its rights, reachable by nobody else, of one image."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.unit.k8s.rendering import (
    OVERLAYS,
    SERVICES,
    WORKLOADS,
    Document,
    matches,
    named,
    of_kind,
    ours,
    rendered,
    template,
    workloads,
)

ENGINES = {"kafka", "mongo", "minio"}
PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_keep_to_the_restricted_standard(overlay: str) -> None:
    """Pod Security Standards, restricted; and a root that can't be written, but for the engines on trial."""
    for document in workloads(rendered(overlay)):
        name, pod = document["metadata"]["name"], template(document)["spec"]
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert not any("hostPath" in volume for volume in pod.get("volumes", []))
        for container in pod["containers"] + pod.get("initContainers", []):
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False
            assert own["capabilities"] == {"drop": ["ALL"]}
            assert own["privileged"] is False
            assert own.get("readOnlyRootFilesystem") is True or name in ENGINES
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
            assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_is_written_has_a_place_and_a_size(overlay: str) -> None:
    for document, container in ours(rendered(overlay)):
        places = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert {"/tmp", "/var/lib/anteroom"} <= places
        for volume in template(document)["spec"]["volumes"]:
            if "emptyDir" in volume:
                assert volume["emptyDir"]["sizeLimit"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_one_image_for_all_of_ours_and_every_tag_pinned(overlay: str) -> None:
    found = rendered(overlay)
    images = {container["image"] for _, container in ours(found)}
    assert len(images) == 1
    (image,) = images
    assert image.endswith(f":{PROJECT['version']}") or overlay == "overlays/dev"
    for document in workloads(found):
        for container in template(document)["spec"]["containers"]:
            _, _, tag = container["image"].rpartition(":")
            assert tag, container["image"]
            assert tag != "latest"
            assert "/" not in tag, container["image"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_workload_has_its_own_account_budget_and_policy(overlay: str) -> None:
    found = rendered(overlay)
    accounts = {d["metadata"]["name"]: d for d in of_kind(found, "ServiceAccount")}
    used = []
    for document in workloads(found):
        name = document["metadata"]["name"]
        if name in ENGINES:
            continue
        used.append(template(document)["spec"]["serviceAccountName"])
        assert accounts[used[-1]]["automountServiceAccountToken"] is False
        if document["kind"] in {"Deployment", "StatefulSet"}:
            budget = named(found, "PodDisruptionBudget", name)["spec"]
            assert matches(budget["selector"], template(document)["metadata"]["labels"])
            assert budget["maxUnavailable"] == 1
            policy = named(found, "NetworkPolicy", name)["spec"]
            assert policy["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": name}
    assert len(used) == len(set(used)) == len(accounts)
    assert not of_kind(found, "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_everything_is_closed_unless_opened(overlay: str) -> None:
    spec = named(rendered(overlay), "NetworkPolicy", "default-deny")["spec"]
    assert spec == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def labels(name: str, found: list[Document]) -> dict[str, str]:
    made: dict[str, str] = next(
        template(d)["metadata"]["labels"] for d in workloads(found) if d["metadata"]["name"] == name
    )
    return made


def opened(found: list[Document], name: str, direction: str) -> list[Any]:
    """The rules of all policies that select the workload's pods."""
    own = labels(name, found)
    side = {"ingress": "Ingress", "egress": "Egress"}[direction]
    return [
        rule
        for policy in of_kind(found, "NetworkPolicy")
        if matches(policy["spec"]["podSelector"], own) and side in policy["spec"]["policyTypes"]
        for rule in policy["spec"].get(direction, [])
    ]


def may(found: list[Document], source: str, target: str, port: str | int) -> bool:
    """Whether a pod of one workload may reach a port of another, by what both sides allow."""
    pod = next(template(d)["spec"] for d in workloads(found) if d["metadata"]["name"] == target)
    numbers = {p["name"]: p["containerPort"] for c in pod["containers"] for p in c["ports"]}
    names = {port, numbers.get(str(port), port)} | {n for n, number in numbers.items() if number == port}

    def fits(rule: Document, side: str, other: dict[str, str]) -> bool:
        peers = rule.get(side)
        by_port = "ports" not in rule or any(entry["port"] in names for entry in rule["ports"])
        by_peer = peers is None or any(
            "podSelector" in peer and matches(peer["podSelector"], other) for peer in peers
        )
        return by_port and by_peer

    out = any(fits(rule, "to", labels(target, found)) for rule in opened(found, source, "egress"))
    into = any(fits(rule, "from", labels(source, found)) for rule in opened(found, target, "ingress"))
    return out and into


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_who_must_talk_may(overlay: str) -> None:
    found = rendered(overlay)
    for name in WORKLOADS:
        assert may(found, "front", name, "http"), name
    if overlay == "overlays/prod":
        assert may(found, "validate", "clamav", "clamd")
    if overlay == "overlays/dev":
        for name in (*WORKLOADS, "index"):
            assert may(found, name, "kafka", 9092), name
            assert may(found, name, "mongo", 27017), name
            assert may(found, name, "minio", 9000), name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_who_need_not_talk_may_not(overlay: str) -> None:
    found = rendered(overlay)
    for source in WORKLOADS:
        for target in WORKLOADS:
            assert not may(found, source, target, "http"), (source, target)
    if overlay == "overlays/prod":
        assert not may(found, "portal", "clamav", "clamd")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_port_is_opened_to_somebody_and_engines_can_be_reached(overlay: str) -> None:
    found = rendered(overlay)
    for document in of_kind(found, "Deployment", "StatefulSet"):
        name = document["metadata"]["name"]
        opened_ports = {p["port"] for rule in opened(found, name, "ingress") for p in rule.get("ports", [])}
        for container in template(document)["spec"]["containers"]:
            for port in container["ports"]:
                assert {port["name"], port["containerPort"]} & opened_ports, (name, port)
    config = next(d for d in of_kind(found, "ConfigMap") if "ANTEROOM_KAFKA_SERVERS" in d["data"])["data"]
    needed = {int(config[f"ANTEROOM_{of}"].rpartition(":")[2]) for of in ("KAFKA_SERVERS", "S3_ENDPOINT")}
    for name in WORKLOADS:
        rules = opened(found, name, "egress")
        allowed = {port["port"] for rule in rules for port in rule.get("ports", [])}
        assert {53, 27017, *needed} <= allowed, name


def test_addresses_which_are_secrets_are_not_logged_at_the_edge() -> None:
    (ingress,) = of_kind(rendered("overlays/prod"), "Ingress")
    said = ingress["metadata"]["annotations"]
    assert said["nginx.ingress.kubernetes.io/enable-access-log"] == "false"


def test_production_keeps_no_secret_in_its_files() -> None:
    assert of_kind(rendered("overlays/prod"), "Secret") == []
    assert of_kind(rendered("base"), "Secret") == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_grows_with_images_lies_on_a_volume_of_its_own(overlay: str) -> None:
    """kit.scratch is in the data folder: conversions, packs and uploads under way are written there."""
    found = rendered(overlay)
    for name in ("upload", "validate", "view", "forward"):
        volumes = template(named(found, "Deployment", name))["spec"]["volumes"]
        (data,) = [volume for volume in volumes if volume["name"] == "data"]
        assert "ephemeral" in data, name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_spool_of_acknowledged_images_outlives_its_pod(overlay: str) -> None:
    """Nothing that scales by itself may run it."""
    found = rendered(overlay)
    door = named(found, "StatefulSet", "dicom")["spec"]
    assert [claim["metadata"]["name"] for claim in door["volumeClaimTemplates"]] == ["data"]
    assert door["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert "dicom" not in {o["spec"]["scaleTargetRef"]["name"] for o in of_kind(found, "ScaledObject")}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_new_version_comes_beside_the_old_one(overlay: str) -> None:
    for name in SERVICES:
        spec = named(rendered(overlay), "Deployment", name)["spec"]
        assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        assert "replicas" not in spec, "KEDA says how many; applying again must not"


def test_production_is_spread_over_zones() -> None:
    found = rendered("overlays/prod")
    for document in of_kind(found, "Deployment", "StatefulSet"):
        zones = template(document)["spec"]["topologySpreadConstraints"]
        assert zones[0]["topologyKey"] == "topology.kubernetes.io/zone"
        assert zones[0]["whenUnsatisfiable"] == "DoNotSchedule"
        assert matches(zones[0]["labelSelector"], template(document)["metadata"]["labels"])
        assert "app.kubernetes.io/name" in zones[0]["matchLabelKeys"]
        name = document["metadata"]["name"]
        if name not in SERVICES:
            assert document["spec"]["replicas"] == 3, name
