"""compose.yaml: the shape that Compose takes, and what the code understands."""

from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from jsonschema import Draft202012Validator

from anteroom.cli import main
from anteroom.embedded import site_key
from kit.bus.kafka_settings import LARGEST_RECORD
from tests.unit.images.dockerfile import ROOT
from tests.unit.k8s.crds import COUNT, NAME, TEXT, closed, one_of, some
from tests.unit.k8s.fronting import CONF
from tests.unit.k8s.rendering import K8S, SERVICES
from tests.unit.k8s.test_k8s_settings import PLACES, given, loaded, value_of

FILE = yaml.safe_load((ROOT / "compose.yaml").read_text())
TRIAL = K8S / "overlays" / "dev" / "trial"
ENGINES = {"kafka", "mongo", "minio", "clamav"}
_WORDS = some({"type": "string"})
_SPAN = {"type": "string", "pattern": r"^\d+(s|m|h)$"}
_AFTER = closed(
    "condition", condition=one_of("service_started", "service_healthy", "service_completed_successfully")
)
_SERVICE = closed(
    "image healthcheck restart",
    image=TEXT,
    build=TEXT,
    command=_WORDS,
    environment={"type": "object", "additionalProperties": {"type": "string"}},
    restart=one_of("unless-stopped"),
    init={"type": "boolean"},
    read_only={"type": "boolean"},
    cap_drop=_WORDS,
    security_opt=_WORDS,
    stop_grace_period=_SPAN,
    tmpfs=_WORDS,
    volumes=_WORDS,
    ports=_WORDS,
    networks=closed("default", default=closed("aliases", aliases=_WORDS)),
    depends_on={"anyOf": [_WORDS, {"type": "object", "additionalProperties": _AFTER}]},
    healthcheck=closed(
        "test interval timeout retries",
        test=_WORDS,
        interval=_SPAN,
        timeout=_SPAN,
        retries=COUNT,
        start_period=_SPAN,
    ),
)
SCHEMA = {
    **closed(
        "name services",
        name=NAME,
        services={"type": "object", "additionalProperties": _SERVICE},
        volumes={"type": "object", "additionalProperties": {"type": "null"}},
    ),
    "patternProperties": {"^x-": {}},
}


def of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = FILE["services"][name]
    return found


def test_it_has_the_shape_that_compose_takes() -> None:
    Draft202012Validator(SCHEMA).validate(FILE)


def test_one_container_a_service_one_image_and_every_tag_pinned() -> None:
    assert set(FILE["services"]) == {*SERVICES, "front", *ENGINES}
    assert len({of(name)["image"] for name in SERVICES}) == 1
    assert [name for name in SERVICES if "build" in of(name)] == ["upload"], "it is built once"
    for service in FILE["services"].values():
        tag = service["image"].rpartition(":")[2]
        assert any(sign.isdigit() for sign in tag), service["image"]


@pytest.mark.parametrize("name", SERVICES)
def test_commands_and_variables_are_those_of_the_code(
    name: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = of(name)
    command, *rest = service["command"]
    assert (command, rest) == ("run", [name])
    with click.Context(main) as context:
        found = main.get_command(context, command)
        assert found is not None
        found.make_context(command, list(rest), parent=context)
    values = service["environment"]
    assert {variable for variable, _, _ in given(values)} <= PLACES.keys()
    settings = loaded(values, tmp_path, monkeypatch)
    assert settings.http.behind_proxy
    assert settings.s3.endpoint == "minio:9000"
    for variable, text, of_file in given(values):
        if of_file or variable.endswith("_FILE"):
            assert Path(text).parent == Path("/etc/anteroom/trial")
            assert (TRIAL / Path(text).name).is_file()
        elif text[:1] != "[" and text not in {"true", "false"}:
            assert str(value_of(settings, variable)) == text


def test_what_is_named_is_declared() -> None:
    for service in FILE["services"].values():
        assert set(service.get("depends_on", [])) <= FILE["services"].keys()
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in FILE["volumes"] or (ROOT / source).exists(), volume
    used = {v.split(":")[0] for s in FILE["services"].values() for v in s.get("volumes", [])}
    assert FILE["volumes"].keys() <= used


def test_only_this_machine_can_reach_it() -> None:
    for service in FILE["services"].values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), port


def test_our_containers_may_do_as_little_as_in_the_cluster() -> None:
    for name in (*SERVICES, "front"):
        service = of(name)
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        written = [*service.get("tmpfs", []), *service.get("volumes", [])]
        assert any(place.startswith("/tmp") for place in written)


def test_the_spool_outlives_its_container_and_the_front_finds_it() -> None:
    assert "spool:/var/lib/anteroom" in of("upload")["volumes"]
    assert of("upload")["networks"]["default"]["aliases"] == ["dicom"]
    assert set(of("front")["depends_on"]) == set(SERVICES)
    assert of("front")["volumes"][0].startswith(f"./{CONF.relative_to(ROOT)}:")


def test_the_keys_for_trying_out_are_of_the_right_kind_and_everybodys() -> None:
    assert len(site_key(TRIAL / "site.key")) == 32
    assert len((TRIAL / "admin-token").read_text().strip()) >= 32
    for name in SERVICES:
        assert f"./{TRIAL.relative_to(ROOT)}:/etc/anteroom/trial:ro" in of(name)["volumes"]


def test_engines_are_those_of_the_overlay_for_one_node() -> None:
    tags = {
        i["name"]: i["newTag"]
        for p in K8S.rglob("kustomization.yaml")
        for i in yaml.safe_load(p.read_text()).get("images", [])
    }
    for name in (*ENGINES, "front"):
        image, _, tag = of(name)["image"].rpartition(":")
        assert tags[image] == tag, image
    assert int(of("kafka")["environment"]["KAFKA_MESSAGE_MAX_BYTES"]) == LARGEST_RECORD
