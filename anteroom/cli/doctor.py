"""`anteroom doctor`: what is reachable, what is missing, and what to do about it."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from anteroom.cli.connection import Connection, Failure, resolve, too_open, with_options
from anteroom.cli.terminal import json_out, size
from anteroom.client.api import Api, ApiError, ClientError

_TOOLS = {
    "Orthanc": "the demo then uses Orthanc as its PACS; without it, a small one of its own",
    "clamdscan": "ClamAV can scan what comes in: see the setting validate.clamav_host",
}
_LOW_SPACE = 5 << 30

Check = tuple[str, str, str]
"""(ok | warn | fail, what was looked at, what is wrong and what to do)"""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON list on stdout.")
@with_options
def doctor(as_json: bool, **options: Any) -> None:
    """Check what is reachable and what is missing. Exit status 1 when something does not work."""
    data: Path = options["data"]
    checks: list[Check] = []
    try:
        connection = resolve(options)
    except Failure as failure:
        checks.append(("fail", "token", failure.message))
    else:
        checks += _server(connection)
        checks += _token_file(connection)
    checks += _data(data)
    checks += _tools()
    if as_json:
        json_out([{"result": result, "check": what, "text": text} for result, what, text in checks])
    else:
        colours = {"ok": "green", "warn": "yellow", "fail": "red"}
        for result, what, text in checks:
            click.echo(f"{click.style(f'{result:<4}', fg=colours[result])}  {what:<28} {text}".rstrip())
    sys.exit(1 if any(result == "fail" for result, _, _ in checks) else 0)


def _server(connection: Connection) -> Iterator[Check]:
    with connection.api() as api:
        try:
            who = api.get("/api/whoami")
        except ApiError as error:
            yield "fail", f"server {connection.server}", str(error)
            return
        except ClientError as error:
            yield "fail", f"server {connection.server}", str(error)
            return
        yield "ok", f"server {connection.server}", f"as {who['name']} ({', '.join(who['roles'])})"
        yield from _ready(api)
        yield from _asked_as_admin(api, who["roles"])


def _ready(api: Api) -> Iterator[Check]:
    """Every door and neighbour by name. The answer is the same JSON with status 200 and 503."""
    try:
        found = api.get("/readyz")
    except ApiError as error:
        found = dict(error.body)
    except ClientError as error:
        yield "fail", "readiness", str(error)
        return
    for name, text in sorted((found or {}).items()):
        if name in {"code", "error"}:
            continue
        result = "ok" if text is None else "fail" if name.endswith("door") else "warn"
        yield result, name, "" if text is None else str(text)


def _asked_as_admin(api: Api, roles: list[str]) -> Iterator[Check]:
    try:
        if {"admin", "approve"} & set(roles):
            names = [row["name"] for row in api.get("/api/destinations")]
            if not names:
                yield (
                    "warn",
                    "destinations",
                    "None yet: anteroom destination add NAME --host … --port … --ae …",
                )
            for name in names:
                yield _echo(api, name)
        if "admin" in roles:
            letters = len(api.get("/api/dead-letters"))
            if letters:
                yield "warn", "dead letters", f"{letters} events could not be handled: anteroom dead-letters"
            else:
                yield "ok", "dead letters", "none"
    except ClientError as error:
        yield "warn", "administration", str(error)


def _echo(api: Api, name: str) -> Check:
    try:
        answer = api.post(f"/api/destinations/{name}/echo") or {}
    except ClientError as error:
        return "warn", f"destination {name}", str(error)
    good = bool(answer.get("ok", answer.get("reachable", True)))
    return ("ok" if good else "warn"), f"destination {name}", str(answer.get("text", ""))


def _token_file(connection: Connection) -> Iterator[Check]:
    path = connection.token_file
    if path is None:
        return
    if too_open(path):
        yield "fail", f"token file {path}", f"Others on this machine may read it: chmod 600 {path}"
    else:
        yield "ok", f"token file {path}", "readable by its owner alone"


def _data(data: Path) -> Iterator[Check]:
    if not data.is_dir():
        yield "warn", f"data folder {data}", "Not on this machine, or elsewhere: name it with --data."
        return
    if too_open(data):
        yield "warn", f"data folder {data}", f"Others on this machine may look into it: chmod 700 {data}"
    free = shutil.disk_usage(data).free
    if free < _LOW_SPACE:
        yield "warn", "disk", f"Only {size(free)} are free; at little space the doors refuse (507)."
    else:
        yield "ok", "disk", f"{size(free)} free"
    yield _encrypted(data)
    if (data / "site.key").exists():
        yield (
            "warn",
            "site key",
            "It lies within the data it protects: move it elsewhere and set process.key_file.",
        )


def _encrypted(data: Path) -> Check:
    """Whether the volume is on a device-mapper crypt target, as far as the kernel tells (Linux)."""
    try:
        device = data.stat().st_dev
        uuid = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/dm/uuid").read_text()
    except OSError:
        uuid = ""
    if uuid.startswith("CRYPT-"):
        return "ok", "encryption at rest", "the data folder lies on an encrypted volume"
    return (
        "warn",
        "encryption at rest",
        "Can't see that the data folder lies on an encrypted volume (LUKS); it should.",
    )


def _tools() -> Iterator[Check]:
    for tool, use in _TOOLS.items():
        found = shutil.which(tool)
        yield ("ok" if found else "warn"), f"optional: {tool}", found or f"Not installed; if it were, {use}."
