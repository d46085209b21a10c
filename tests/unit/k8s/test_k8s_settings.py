"""The manifests say what the code understands: settings, commands, ports, probes."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import orjson
import pytest
from pydantic import BaseModel

from anteroom.cli import main
from anteroom.settings import Settings, load
from tests.unit.k8s.rendering import (
    K8S,
    OVERLAYS,
    SERVICES,
    WORKLOADS,
    environment,
    named,
    of_kind,
    ours,
    rendered,
    template,
)

MOUNTED = "/etc/anteroom/"


def known(prefix: str = "ANTEROOM", model: type[BaseModel] = Settings, at: tuple[str, ...] = ()) -> Any:
    """Every variable that the settings read, with where its value ends up."""
    for name, field in model.model_fields.items():
        variable = f"{prefix}_{field.alias or name}".upper()
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from known(variable, inner, (*at, name))
        if at:
            yield variable, (*at, name)


PLACES = dict(known())


def value_of(settings: Settings, variable: str) -> Any:
    found: Any = settings
    for part in PLACES[variable]:
        found = getattr(found, part)
    return found


def given(values: dict[str, str]) -> Iterator[tuple[str, str, bool]]:
    """(variable, text, whether the text names a file); a setting may itself be called …_FILE."""
    for name, text in values.items():
        if name.startswith("ANTEROOM_"):
            of_file = name.endswith("_FILE") and name not in PLACES
            yield (name.removesuffix("_FILE") if of_file else name), text, of_file


def loaded(values: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """As the container would load them; mounted secrets hold a text each."""
    for name in [name for name in os.environ if name.startswith("ANTEROOM_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(folder)
    for variable, text, of_file in given(values):
        if of_file:
            file = folder / Path(text).name
            file.write_text(f"of-a-secret-{file.name}-long-enough-for-anything\n")
            monkeypatch.setenv(f"{variable}_FILE", str(file))
        else:
            monkeypatch.setenv(variable, text)
    return load()


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("name", [*WORKLOADS, "index", "backup"])
def test_every_variable_is_a_setting_and_arrives(
    overlay: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = rendered(overlay)
    container = next((c for document, c in ours(found) if document["metadata"]["name"] == name), None)
    if container is None:
        assert (name, overlay) in {("backup", "base"), ("backup", "overlays/dev")}
        return
    values = environment(found, container)
    unknown = {variable for variable, _, _ in given(values)} - PLACES.keys()
    assert unknown == set()
    settings = loaded(values, tmp_path, monkeypatch)
    for variable, text, of_file in given(values):
        arrived = value_of(settings, variable)
        if hasattr(arrived, "get_secret_value"):
            arrived = arrived.get_secret_value()
        if of_file:
            assert arrived.startswith("of-a-secret-")
        elif text[:1] in "[{" and text:
            assert len(arrived) == len(orjson.loads(text))
        elif isinstance(arrived, bool):
            assert str(arrived).lower() == text
        else:
            assert str(arrived) == text


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_file_that_a_setting_names_is_mounted(overlay: str) -> None:
    found = rendered(overlay)
    for document, container in ours(found):
        mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
        volumes = {volume["name"] for volume in template(document)["spec"]["volumes"]}
        volumes |= {claim["metadata"]["name"] for claim in document["spec"].get("volumeClaimTemplates", [])}
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes
        for variable, text in environment(found, container).items():
            if text.startswith("/"):
                assert any(text.startswith(mount) for mount in mounts), (variable, text)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_key_of_a_mounted_secret_is_documented(overlay: str) -> None:
    """Who makes the secrets finds each in k8s/README.md."""
    text = (K8S / "README.md").read_text()
    found = rendered(overlay)
    for _, container in ours(found):
        for variable in container.get("env", []):
            if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                name = reference["name"]
                assert {f"`{name}`", f"`-{name.removeprefix('anteroom-')}`"} & set(
                    re.findall("`.*?`", text)
                ), name
                assert f"`{reference['key']}`" in text
        for name, value in environment(found, container).items():
            if value.startswith(f"{MOUNTED}secrets/"):
                assert f"`{Path(value).name}`" in text, name


def test_secrets_that_strimzi_makes_are_asked_for_nothing_else() -> None:
    """The User Operator makes a Secret by the name of each user, and takes out what it did not put in."""
    found = rendered("overlays/prod")
    users = {user["metadata"]["name"] for user in of_kind(found, "KafkaUser")}
    asked = [
        variable["valueFrom"]["secretKeyRef"]
        for _, container in ours(found)
        for variable in container.get("env", [])
        if "secretKeyRef" in variable.get("valueFrom", {})
    ]
    theirs = [reference for reference in asked if reference["name"] in users]
    assert theirs
    assert {reference["key"] for reference in theirs} <= {"password", "sasl.jaas.config"}
    assert {reference["name"] for reference in asked if reference["key"] == "password"} <= users


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_command_is_one(overlay: str) -> None:
    """Parsed by the command line itself, up to the point of doing it."""
    run = set()
    for document, container in ours(rendered(overlay)):
        assert "command" not in container, "the image's entry point is the command line"
        name, *rest = container["args"]
        with click.Context(main) as context:
            command = main.get_command(context, name)
            assert command is not None, f"anteroom {name}"
            command.make_context(name, list(rest), parent=context)
        if name == "run":
            run.add(rest[0])
            assert document["metadata"]["name"] in {rest[0], "dicom"}
    assert run == set(SERVICES)


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("name", WORKLOADS)
def test_ports_are_those_that_are_listened_on(
    overlay: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = rendered(overlay)
    container = next(c for d, c in ours(found) if d["metadata"]["name"] == name)
    settings = loaded(environment(found, container), tmp_path, monkeypatch)
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert settings.http.host == "0.0.0.0"
    assert settings.telemetry.metrics_host == "0.0.0.0"
    wanted = {"http": settings.http.port, "metrics": settings.telemetry.metrics_port}
    if name == "dicom":
        wanted["dicom"] = settings.upload.dicom_port
        assert settings.upload.dicom_host == "0.0.0.0"
    if name == "upload":
        assert settings.upload.dicom_port == -1, "the spool of the DICOM door must not be lost with a pod"
    if name == "match":
        wanted["hl7"] = settings.match.hl7_port
        assert settings.match.hl7_host == "0.0.0.0"
    assert ports == wanted


def test_ports_are_the_defaults_of_the_code() -> None:
    """Who knows Anteroom from one machine finds the same numbers."""
    found, defaults = rendered("base"), Settings()
    assert defaults.http.port == named(found, "Service", "portal")["spec"]["ports"][0]["port"]
    numbers = {
        p["name"]: p["containerPort"]
        for _, c in ours(found)
        for p in c.get("ports", [])
        if p["name"] not in {"http", "metrics"}
    }
    assert numbers == {"dicom": defaults.upload.dicom_port, "hl7": defaults.match.hl7_port}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_services_lead_to_ports_and_pods_that_are_there(overlay: str) -> None:
    found = rendered(overlay)
    pods = [template(d) for d in of_kind(found, "Deployment", "StatefulSet")]
    for service in of_kind(found, "Service"):
        selector = service["spec"]["selector"].items()
        meant = [pod for pod in pods if selector <= pod["metadata"]["labels"].items()]
        assert len(meant) == 1, service["metadata"]["name"]
        names = {port["name"] for c in meant[0]["spec"]["containers"] for port in c["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= names


def test_outside_doors_keep_the_callers_address_and_speak_tls_in_production(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = rendered("overlays/prod")
    for name in ("dicom-door", "hl7-door"):
        spec = named(found, "Service", name)["spec"]
        assert (spec["type"], spec["externalTrafficPolicy"]) == ("LoadBalancer", "Local")
    containers = {d["metadata"]["name"]: c for d, c in ours(found)}
    settings = loaded(environment(found, containers["dicom"]), tmp_path, monkeypatch)
    assert settings.upload.dicom_tls_cert
    assert settings.upload.dicom_tls_key
    settings = loaded(environment(found, containers["match"]), tmp_path, monkeypatch)
    assert settings.match.hl7_tls_certificate is not None
    assert settings.match.hl7_tls_client_ca is not None


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_forwarded_addresses_count_only_from_inside(overlay: str) -> None:
    values = named(rendered(overlay), "ConfigMap", config_name(overlay))["data"]
    assert values["ANTEROOM_HTTP_BEHIND_PROXY"] == "true"
    assert "0.0.0.0/0" not in values["ANTEROOM_HTTP_PROXIES"]


def config_name(overlay: str) -> str:
    (name,) = [
        d["metadata"]["name"]
        for d in of_kind(rendered(overlay), "ConfigMap")
        if d["metadata"]["name"].startswith("anteroom-") and "ANTEROOM_HTTP_PORT" in d["data"]
    ]
    return str(name)
