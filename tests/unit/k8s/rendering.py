"""What Kustomize makes of k8s/, and ways to look into it."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from scripts.kustomize import command, render
from tests.neighbours.process import missing

K8S = Path(__file__).parents[3] / "k8s"
OVERLAYS = ("base", "overlays/dev", "overlays/prod")
SERVICES = ("upload", "validate", "match", "portal", "view", "forward", "notify")
"""As the command line knows them."""
WORKLOADS = (*SERVICES, "dicom")
"""As the cluster runs them: the spooling doors of upload are a set of their own."""

Document = dict[str, Any]


def rendered(overlay: str) -> list[Document]:
    """Skips the test where nothing renders; in CI that is a failure."""
    if command() is None:
        missing("neither kustomize (make kustomize) nor kubectl is here")
    return _rendered(overlay)


@functools.cache
def _rendered(overlay: str) -> list[Document]:
    return [document for document in yaml.safe_load_all(render(K8S / overlay)) if document]


def raw_files() -> list[Path]:
    return sorted(K8S.rglob("*.yaml"))


def documents(path: Path) -> list[Document]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def of_kind(found: list[Document], *kinds: str) -> list[Document]:
    return [document for document in found if document["kind"] in kinds]


def named(found: list[Document], kind: str, name: str) -> Document:
    (document,) = [d for d in of_kind(found, kind) if d["metadata"]["name"] == name]
    return document


def template(document: Document) -> Document:
    """The pod's template of a workload."""
    spec = document["spec"]
    if document["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    made: Document = spec["template"]
    return made


def workloads(found: list[Document]) -> list[Document]:
    return of_kind(found, "Deployment", "StatefulSet", "Job", "CronJob")


def ours(found: list[Document]) -> Iterator[tuple[Document, Document]]:
    """Every workload that runs our image, with its container."""
    for document in workloads(found):
        for container in template(document)["spec"]["containers"]:
            if container["name"] == "anteroom":
                yield document, container


def environment(found: list[Document], container: Document) -> dict[str, str]:
    """Its variables; those out of a secret have the text "secret"."""
    values: dict[str, str] = {}
    for source in container.get("envFrom", []):
        values |= named(found, "ConfigMap", source["configMapRef"]["name"])["data"]
    for variable in container.get("env", []):
        values[variable["name"]] = variable.get("value", "secret")
    return values


def matches(selector: Document, labels: dict[str, str]) -> bool:
    assert set(selector) <= {"matchLabels"}, "this test reads matchLabels alone"
    return selector.get("matchLabels", {}).items() <= labels.items()
