"""`anteroom up` and `anteroom demo`: the server on this machine."""

import sys
from pathlib import Path
from typing import Any

import click

from anteroom.cli.connection import Failure


def _ports(command: Any) -> Any:
    for option in reversed(
        [
            click.option(
                "--data", type=click.Path(path_type=Path), help="Folder of all data. Default: data."
            ),
            click.option(
                "--http-port", type=click.IntRange(0, 65535), help="Default: 8080. 0: any free one."
            ),
            click.option("--dicom-port", type=click.IntRange(-1, 65535), help="Default: 11112."),
            click.option("--hl7-port", type=click.IntRange(-1, 65535), help="Default: 2575."),
            click.option("--config", type=click.Path(path_type=Path), help="Settings file (TOML)."),
        ]
    ):
        command = option(command)
    return command


def _settings(
    data: Path | None,
    http_port: int | None,
    dicom_port: int | None,
    hl7_port: int | None,
    config: Path | None,
) -> Any:
    from anteroom import settings

    overrides = {
        "process": {"data": data},
        "http": {"port": http_port},
        "upload": {"dicom_port": dicom_port},
        "match": {"hl7_port": hl7_port},
    }
    try:
        return settings.load(config, overrides)
    except settings.SettingsError as error:
        raise Failure(str(error)) from error


@click.command()
@_ports
def up(**options: Any) -> None:
    """Run Anteroom until Ctrl-C: every service in one process, all data in one folder."""
    from kit.errors import AnteroomError

    settings = _settings(**options)
    from anteroom.up import run

    try:
        sys.exit(run(settings))
    except AnteroomError as error:
        raise Failure(str(error)) from error
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise Failure(f"It could not start: {error.strerror or error}{where}.") from error


@click.command()
@_ports
@click.option(
    "--exit", "leave", is_flag=True, help="Leave when the study is proved in the PACS: status 0, else 1."
)
def demo(leave: bool, **options: Any) -> None:
    """Show the whole way of a study, with a PACS, a patient feed and a mail catcher of its own."""
    from anteroom.demo.run import run

    sys.exit(run(_settings(**options), leave=leave, data=options["data"]))
