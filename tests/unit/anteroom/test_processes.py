"""Several processes of one service on one machine."""

from pathlib import Path

import pytest

from anteroom.processes import _environment
from anteroom.settings import Settings, TelemetrySettings


@pytest.mark.parametrize(("given", "ports"), [(9464, ["9464", "9465"]), (0, ["0", "0"]), (-1, ["-1", "-1"])])
def test_each_has_a_port_of_metrics_where_the_first_has_one(given: int, ports: list[str]) -> None:
    settings = Settings(telemetry=TelemetrySettings(metrics_port=given))
    made = [_environment(settings, index, Path("site.key")) for index in range(2)]
    assert [one["ANTEROOM_TELEMETRY_METRICS_PORT"] for one in made] == ports
    assert {one["ANTEROOM_PROCESS_KEY_FILE"] for one in made} == {str(Path("site.key").resolve())}
