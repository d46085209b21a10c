"""`anteroom index`: prepare the cluster's engines for this version."""

import asyncio
from pathlib import Path

import click

from anteroom.cli.connection import Failure


@click.command()
@click.option("--config", type=click.Path(path_type=Path), help="Settings file (TOML).")
def index(config: Path | None) -> None:
    """Make the indexes, the bucket and the topics that this version needs and that are not there yet.

    For before an upgrade, and for installations whose services may not make them (mongo.create_indexes,
    s3.create_bucket, kafka.create_topics = false). Nothing that is there is changed.
    """
    from anteroom import settings as configuration
    from kit.errors import AnteroomError

    try:
        settings = configuration.load(config)
        from anteroom.indexing import prepare

        asyncio.run(prepare(settings, click.echo))
    except AnteroomError as error:
        raise Failure(str(error)) from error
