"""`python -m scripts.engines up|down|install|status [NAME…]`: Kafka, MongoDB protocol and S3 on loopback.

Names: kafka, mongo (mongo-java-server), ferretdb, s3 (MinIO). Without names: kafka, mongo, s3.
Everything lives in .engines/ of this checkout; ports.json there says which port each has, and
cluster.toml is a settings file for `anteroom run` on them.
"""

import argparse
import logging
import sys
from pathlib import Path

from scripts.engines.install import INSTALL, Missing
from scripts.engines.run import ports, start, stop, write_settings

ROOT = Path(__file__).parents[2] / ".engines"
_USUAL = ("kafka", "mongo", "s3")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="engines", description=__doc__)
    parser.add_argument("action", choices=("up", "down", "install", "status"))
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(INSTALL))
    parser.add_argument("--port", type=int, help="the port, when one engine is named")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    ROOT.mkdir(exist_ok=True)
    if chosen.action == "down":
        for name in chosen.names or INSTALL:
            stop(ROOT, name)
    missing = False
    if chosen.action in ("up", "install"):
        for name in chosen.names or _USUAL:
            missing |= not _up(name, chosen.port if len(chosen.names) == 1 else None, chosen.action == "up")
    found = ports(ROOT)
    for name, port in found.items():
        sys.stdout.write(f"{name:<9} 127.0.0.1:{port}\n")
    if all(name in found for name in _USUAL):
        path = write_settings(ROOT, found)
        sys.stdout.write(f"Settings that name them: {path}. Try: anteroom run all --config {path}\n")
    return int(missing)


def _up(name: str, port: int | None, run: bool) -> bool:
    (ROOT / name).mkdir(exist_ok=True)
    try:
        INSTALL[name](ROOT / name)
        if run:
            start(ROOT, name, port)
    except Missing as error:
        sys.stderr.write(f"{name}: {error}\n")
        return False
    return True


if __name__ == "__main__":
    raise SystemExit(main())
