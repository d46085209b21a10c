"""What the commands do, from their options on."""

import asyncio
from pathlib import Path

from anteroom.moving import backups, embedded_backup, embedded_restore
from anteroom.moving.embedded_backup import Done
from anteroom.moving.fingerprint import read_key
from anteroom.moving.manifest import KEY, Manifest
from anteroom.moving.progress import Progress
from anteroom.moving.tarred import TarVault
from anteroom.moving.trouble import MoveError
from anteroom.moving.vault import Vault
from anteroom.settings import Settings, load
from kit.clock import utc_now


def back_up(
    target: Path,
    *,
    data: Path | None,
    cluster: Path | None,
    config: Path | None,
    key_file: Path | None,
    keep: int,
    progress: Progress,
) -> Done:
    if cluster is None:
        vault = TarVault(target) if target.suffix == ".tar" else Vault(target)
        settings = _settings(config, data)
        chosen = key_file or settings.process.key_file
        return embedded_backup.back_up(settings.process.data, vault, chosen, keep, utc_now, progress)
    if target.suffix == ".tar":
        raise MoveError("A cluster is saved into a folder, not into a tar file.")
    settings = _cluster(cluster)
    from anteroom.moving import cluster_backup

    apart = key_file or settings.process.key_file
    key = read_key(apart or settings.process.data / KEY)
    making = cluster_backup.back_up(
        settings, Vault(target), key, with_key=apart is None, keep=keep, clock=utc_now, progress=progress
    )
    return asyncio.run(making)


def restore(
    source: Path,
    stamp: str | None,
    *,
    data: Path | None,
    cluster: Path | None,
    config: Path | None,
    key_file: Path | None,
    over: bool,
    progress: Progress,
) -> tuple[Manifest, list[str]]:
    with backups.opened(source, stamp, progress) as backup:
        if cluster is None:
            settings = _settings(config, data)
            chosen = key_file or settings.process.key_file
            done = embedded_restore.restore(
                backup, settings.process.data, chosen, over=over, progress=progress
            )
            return done.manifest, list(done.differences)
        if over:
            raise MoveError(
                "--over is for a data folder. A cluster must be empty before something is restored."
            )
        settings = _cluster(cluster)
        from anteroom.moving import cluster_restore

        bringing = cluster_restore.restore(backup, settings, key_file, utc_now, progress)
        return backup.manifest, asyncio.run(bringing)


def check_backup(source: Path, stamp: str | None, progress: Progress) -> tuple[Manifest, int]:
    with backups.opened(source, stamp, progress) as backup:
        return backup.manifest, backups.damaged(backup, progress)


def migrate(
    cluster: Path, *, data: Path | None, config: Path | None, key_file: Path | None, progress: Progress
) -> tuple[Manifest, list[str]]:
    settings, target = _settings(config, data), _cluster(cluster)
    from anteroom.moving import migrate as moving

    chosen = key_file or settings.process.key_file
    return asyncio.run(moving.migrate(settings, chosen, target, utc_now, progress))


def _settings(config: Path | None, data: Path | None) -> Settings:
    return load(config, {"process": {"data": data}})


def _cluster(config: Path) -> Settings:
    """Raises MoveError where the cluster's adapters are not installed."""
    try:
        import anteroom.cluster  # noqa: F401 - whether it can be
    except ImportError as error:
        raise MoveError(
            "The cluster adapters are not installed here: pip install 'anteroom[cluster]'."
        ) from error
    return load(config)
