"""Starting and stopping engines: loopback only, each with its data, log and process id in its folder."""

import json
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from scripts.engines.install import Missing

_JAVA = (
    "java",
    "-Xmx256m",
    "-Xms64m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
)
ACCESS_KEY = "anteroom"
SECRET_KEY = "anteroom-engines"
_READY_S = 120
_children: dict[int, "subprocess.Popen[bytes]"] = {}
"""Engines this process started: they outlive it, or are waited for when it ends them."""


def start(root: Path, name: str, port: int | None = None) -> int:
    """Start the engine unless it runs, on this port, else on the one it had, else on a free one.

    Returns the port once the engine answers there. Raises Missing when it does not.
    """
    folder = root / name
    known = _read(root)
    if running(root, name):
        return int(known[name]["port"])
    chosen = port or _free_again(known.get(name, {}).get("port"))
    (folder / "data").mkdir(parents=True, exist_ok=True)
    command = _COMMANDS[name](folder, chosen)
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY},
        )
    _children[process.pid] = process
    _note(root, name, {"port": chosen, "pid": process.pid, "started": _started(process.pid)})
    deadline = time.monotonic() + _READY_S
    while not _answers(chosen):
        if process.poll() is not None or time.monotonic() > deadline:
            stop(root, name)
            raise Missing(f"{name} does not start; see {folder / 'log'}")
        time.sleep(0.1)
    return chosen


def stop(root: Path, name: str, *, kill: bool = False) -> None:
    """End the engine we started, and no other process that has its number by now."""
    entry = _read(root).get(name)
    if entry is None or not running(root, name):
        return
    os.kill(entry["pid"], signal.SIGKILL if kill else signal.SIGTERM)
    for _ in range(300):
        if not running(root, name):
            break
        time.sleep(0.1)
    else:
        os.kill(entry["pid"], signal.SIGKILL)
    if child := _children.pop(entry["pid"], None):
        child.wait()


def hang(root: Path, name: str, *, hangs: bool) -> None:
    """Let the engine stand still (SIGSTOP): it takes connections and answers nothing. Or let it go on."""
    entry = _read(root).get(name)
    if entry is not None and running(root, name):
        os.kill(entry["pid"], signal.SIGSTOP if hangs else signal.SIGCONT)


def running(root: Path, name: str) -> bool:
    entry = _read(root).get(name)
    return entry is not None and _started(entry["pid"]) == entry["started"]


def ports(root: Path) -> dict[str, int]:
    """The ports of the engines that run."""
    return {name: entry["port"] for name, entry in _read(root).items() if running(root, name)}


def write_settings(root: Path, found: Mapping[str, int]) -> Path:
    """A settings file for `anteroom run` on these engines: with a key and a token made once."""
    path = root / "cluster.toml"
    token = root / "admin.token"
    if not token.exists():
        token.touch(0o600)
        token.write_text(secrets.token_urlsafe(32))
    temporary = path.with_suffix(".new")
    temporary.write_text(f"""\
# Written by `make engines`; copy it before you change it.
[process]
workers = 1
key_file = "{root / "site.key"}"
admin_token = "{token.read_text().strip()}"
[kafka]
servers = "127.0.0.1:{found["kafka"]}"
partitions = 8
[mongo]
url = "mongodb://127.0.0.1:{found["mongo"]}"
[s3]
endpoint = "127.0.0.1:{found["s3"]}"
access_key = "{ACCESS_KEY}"
secret_key = "{SECRET_KEY}"
secure = false
""")
    temporary.chmod(0o600)
    temporary.rename(path)
    return path


def _kafka(folder: Path, port: int) -> list[str]:
    controller = _free_again(None)
    properties = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": folder / "data",
        "auto.create.topics.enable": "false",
        "offsets.topic.num.partitions": 4,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.num.partitions": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "log.segment.bytes": 16 << 20,
        "log.index.size.max.bytes": 64 << 10,
        "log.cleaner.dedupe.buffer.size": 16 << 20,
        "num.network.threads": 1,
        "num.io.threads": 2,
    }
    path = folder / "server.properties"
    path.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
    java = [*_JAVA, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{folder}/lib/*"]
    if not (folder / "data" / "meta.properties").exists():
        format_command = [*java, "kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(path)]
        done = subprocess.run(format_command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Missing(f"kafka's storage can't be formatted: {done.stdout[-300:]}{done.stderr[-300:]}")
    return [*java, "kafka.Kafka", str(path)]


_CLUSTER = "QW50ZXJvb20tZW5naW5lcw"


def _mongo(folder: Path, port: int) -> list[str]:
    classes = f"{folder}/classes:{folder}/lib/*"
    return [*_JAVA, "-cp", classes, "DocumentServer", str(folder / "data" / "documents.mv"), str(port)]


def _ferretdb(folder: Path, port: int) -> list[str]:
    return [str(folder / "bin" / "ferretdb"), str(folder / "data"), f"127.0.0.1:{port}"]


def _s3(folder: Path, port: int) -> list[str]:
    data, address = str(folder / "data"), f"127.0.0.1:{port}"
    rclone = folder / "bin" / "rclone"
    if rclone.exists():
        keys = f"{ACCESS_KEY},{SECRET_KEY}"
        return [
            str(rclone), "serve", "s3", data, "--addr", address, "--auth-key", keys,
            "--vfs-cache-mode", "off", "--config", "/dev/null",
        ]  # fmt: skip
    console = f"127.0.0.1:{_free_again(None)}"
    return [str(folder / "bin" / "minio"), "server", data, "--address", address, "--console-address", console]


_COMMANDS: dict[str, Callable[[Path, int], list[str]]] = {
    "kafka": _kafka,
    "mongo": _mongo,
    "ferretdb": _ferretdb,
    "s3": _s3,
}


def _read(root: Path) -> dict[str, dict[str, int]]:
    path = root / "ports.json"
    content: dict[str, dict[str, int]] = json.loads(path.read_text()) if path.exists() else {}
    return content


def _note(root: Path, name: str, entry: dict[str, int]) -> None:
    temporary = root / "ports.json.new"
    temporary.write_text(json.dumps({**_read(root), name: entry}, indent=1))
    temporary.rename(root / "ports.json")


def _started(pid: int) -> int:
    """When the process began, in ticks since boot; 0 when there is none (or only its remains)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] == "Z" else int(fields[19])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_again(known: int | None) -> int:
    """The known port when it is free, else another."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", known or 0))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
