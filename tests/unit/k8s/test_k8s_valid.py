"""Every document of k8s/ is valid, strictly: as it stands in the files, and as Kustomize renders it."""

from collections.abc import Callable
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError

from tests.unit.k8s.crds import CRDS, KUSTOMIZATION
from tests.unit.k8s.rendering import K8S, OVERLAYS, Document, documents, raw_files, rendered

VERSIONS = ("1.31", kubernetes_validate.latest_version())
"""The oldest that is supported, and the newest whose definition is known."""
_PATCHES = {
    "pod.yaml",
    "without-passwords.yaml",
    "small.yaml",
    "plain-doors.yaml",
    "spread.yaml",
    "spread-sets.yaml",
}


def check(document: Document) -> None:
    schema = CRDS.get(document["kind"])
    if schema is not None:
        Draft202012Validator(schema).validate(document)
        return
    for version in VERSIONS:
        kubernetes_validate.validate(document, version, strict=True)


def whole() -> list[Path]:
    return [p for p in raw_files() if p.name not in {"kustomization.yaml", *_PATCHES}]


@pytest.mark.parametrize("path", whole(), ids=lambda path: str(path.relative_to(K8S)))
def test_every_file_is_valid_by_itself(path: Path) -> None:
    found = documents(path)
    assert found
    for document in found:
        check(document)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_kustomize_makes_is_valid(overlay: str) -> None:
    found = rendered(overlay)
    assert len(found) > 30
    for document in found:
        check(document)
    ids = [(d["kind"], d["metadata"].get("namespace"), d["metadata"]["name"]) for d in found]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("path", sorted(K8S.rglob("kustomization.yaml")), ids=lambda path: path.parent.name)
def test_kustomizations_say_nothing_that_kustomize_does_not_know(path: Path) -> None:
    content = yaml.safe_load(path.read_text())
    Draft202012Validator(KUSTOMIZATION).validate(content)


def test_every_file_is_used() -> None:
    used = set()
    for path in K8S.rglob("kustomization.yaml"):
        content = yaml.safe_load(path.read_text())
        names = [
            *content.get("resources", []),
            *(p["path"] for p in content.get("patches", []) if "path" in p),
        ]
        for generator in (*content.get("configMapGenerator", []), *content.get("secretGenerator", [])):
            names += [*generator.get("envs", []), *generator.get("files", [])]
        used |= {(path.parent / name).resolve() for name in names} | {path.resolve()}
    there = {p.resolve() for p in K8S.rglob("*") if p.is_file() and p.name != "README.md"}
    assert there - used == set()


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("ScaledObject", lambda d: d["spec"].update(minReplicas=1)),
        ("ScaledObject", lambda d: d["spec"]["triggers"][0].update(type="kafak")),
        ("KafkaTopic", lambda d: d["spec"].update(partition=1)),
        ("KafkaUser", lambda d: d["spec"]["authorization"]["acls"][0].update(operation="Read")),
        ("PodMonitor", lambda d: d["spec"]["podMetricsEndpoints"][0].update(targetport="metrics")),
        ("PrometheusRule", lambda d: d["spec"]["groups"][0]["rules"][0].update(fore="5m")),
        ("Deployment", lambda d: d["spec"]["template"]["spec"]["containers"][0].update(readynessProbe={})),
        ("NetworkPolicy", lambda d: d["spec"].update(policyType=["Ingress"])),
    ],
)
def test_a_slip_of_the_pen_is_found(kind: str, change: Callable[[Document], None]) -> None:
    for path in whole():
        for document in documents(path):
            if document["kind"] == kind:
                change(document)
                with pytest.raises(ValidationError):
                    check(document)
                return
    raise AssertionError(f"there is no {kind}")
