"""Several processes of one service on one machine; a cluster's scheduler does the same with replicas."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from anteroom.embedded import site_key
from anteroom.settings import Settings

_AGAIN_S = 2.0
_GRACE_S = 60.0


def supervise(settings: Settings, service: str, count: int, config: Path | None) -> int:
    """Start them, start again what ends by itself, and on SIGTERM or SIGINT let all of them drain."""
    ending = False

    def end(*_: object) -> None:
        nonlocal ending
        ending = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    settings.process.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = settings.process.key_file or settings.process.data / "site.key"
    site_key(key)
    commands = [_command(settings, service, index, config) for index in range(count)]
    environments = [_environment(settings, index, key) for index in range(count)]
    running = [_begin(*one) for one in zip(commands, environments, strict=True)]
    while not ending:
        time.sleep(0.2)
        for index, process in enumerate(running):
            if process.poll() is not None and not ending:
                time.sleep(_AGAIN_S)
                running[index] = _begin(commands[index], environments[index])
    for process in running:
        process.terminate()
    return max(_wait(process) for process in running)


def _command(settings: Settings, service: str, index: int, config: Path | None) -> list[str]:
    command = [sys.executable, "-m", "anteroom", "run", service]
    if config is not None:
        command += ["--config", str(config)]
    if index == 0:
        return [*command, "--data", str(settings.process.data), "--http-port", str(settings.http.port)]
    data = settings.process.data / f"worker-{index}"
    return [*command, "--data", str(data), "--http-port", "0", "--dicom-port", "-1", "--hl7-port", "-1"]


def _environment(settings: Settings, index: int, key: Path) -> dict[str, str]:
    """All share a key. Each has a port of metrics, one after the other, where the first has one."""
    metrics = settings.telemetry.metrics_port
    return {
        "ANTEROOM_PROCESS_KEY_FILE": str(key.resolve()),
        "ANTEROOM_TELEMETRY_METRICS_PORT": str(metrics + index if metrics > 0 else metrics),
    }


def _begin(command: list[str], environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    # given by env(1), so that nothing but the settings module reads the environment
    pairs = [f"{name}={value}" for name, value in environment.items()]
    return subprocess.Popen(["/usr/bin/env", *pairs, *command])  # noqa: S603 - our own command


def _wait(process: "subprocess.Popen[bytes]") -> int:
    try:
        return abs(process.wait(_GRACE_S))
    except subprocess.TimeoutExpired:
        process.kill()
        return 1
