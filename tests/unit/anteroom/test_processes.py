"""Several processes of one service on one machine."""

from pathlib import Path

import pytest

from anteroom.processes import _command, _environment
from anteroom.settings import Settings, TelemetrySettings
from kit.service import Kit
from services.match.app import build
from services.match.settings import MatchSettings


@pytest.mark.parametrize(("given", "ports"), [(9464, ["9464", "9465"]), (0, ["0", "0"]), (-1, ["-1", "-1"])])
def test_each_has_a_port_of_metrics_where_the_first_has_one(given: int, ports: list[str]) -> None:
    settings = Settings(telemetry=TelemetrySettings(metrics_port=given))
    made = [_environment(settings, index, Path("site.key")) for index in range(2)]
    assert [one["ANTEROOM_TELEMETRY_METRICS_PORT"] for one in made] == ports
    assert {one["ANTEROOM_PROCESS_KEY_FILE"] for one in made} == {str(Path("site.key").resolve())}


def test_only_the_first_opens_doors_for_devices() -> None:
    first, second = (_command(Settings(), "match", index, None) for index in range(2))
    assert "--hl7-port" not in first
    for door in ("--hl7-port", "--dicom-port"):
        assert second[second.index(door) + 1] == "-1"


def test_match_without_an_hl7_door_opens_none(kit_env: Kit) -> None:
    service = build(kit_env, MatchSettings(hl7_port=-1))
    assert (service.doors, service.checks, service.start) == ({}, {}, [])
