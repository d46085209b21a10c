"""`anteroom run`: services on the cluster adapters."""

import sys
from pathlib import Path
from typing import Any

import click

from anteroom.cli.connection import Failure

_SERVICES = ("upload", "validate", "match", "portal", "view", "forward", "notify", "all")


@click.command()
@click.argument("service", type=click.Choice(_SERVICES))
@click.option("--workers", type=click.IntRange(1, 64), default=1, help="Processes side by side. Default: 1.")
@click.option("--data", type=click.Path(path_type=Path), help="Folder for spools and keys. Default: data.")
@click.option("--http-port", type=click.IntRange(0, 65535), help="Default: 8080. 0: any free one.")
@click.option("--dicom-port", type=click.IntRange(-1, 65535), help="Of upload. Default: 11112.")
@click.option("--hl7-port", type=click.IntRange(-1, 65535), help="Of match. Default: 2575.")
@click.option("--config", type=click.Path(path_type=Path), help="Settings file (TOML).")
def run(service: str, workers: int, **options: Any) -> None:
    """Run one service, or all, in this process, on Kafka, MongoDB and S3, until SIGTERM.

    The sections [kafka], [mongo] and [s3] of the settings say where those are. With several workers the
    first has the given ports; the others only consume events and run tasks.
    """
    from anteroom import settings as configuration
    from kit.errors import AnteroomError

    overrides = {
        "process": {"data": options["data"]},
        "http": {"port": options["http_port"]},
        "upload": {"dicom_port": options["dicom_port"]},
        "match": {"hl7_port": options["hl7_port"]},
    }
    try:
        settings = configuration.load(options["config"], overrides)
        if workers > 1:
            from anteroom.processes import supervise

            sys.exit(supervise(settings, service, workers, options["config"]))
        from anteroom.run import run as serve

        sys.exit(serve(settings, service))
    except AnteroomError as error:
        raise Failure(str(error)) from error
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise Failure(f"It could not start: {error.strerror or error}{where}.") from error
