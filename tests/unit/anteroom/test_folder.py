"""What a process needs on its machine, and what it says when that is not to be had."""

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from anteroom.embedded import BadSiteKey, DataFolderInUse, DataFolderUnusable, site_key, take
from anteroom.serving import CanNotListen, listen


def test_a_folder_is_one_process_s(tmp_path: Path) -> None:
    with take(tmp_path / "data"), pytest.raises(DataFolderInUse, match="--data"):
        take(tmp_path / "data")
    take(tmp_path / "data").close()


def test_what_is_no_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataFolderUnusable, match=f"{tmp_path}/file can't be used"):
        take(tmp_path / "file")


@pytest.mark.parametrize("text", ["", "short", "g" * 64, "ab" * 31])
def test_what_is_no_key_is_not_taken_for_one(text: str, tmp_path: Path) -> None:
    (tmp_path / "site.key").write_text(text)
    with pytest.raises(BadSiteKey, match="64 hexadecimal digits"):
        site_key(tmp_path / "site.key")


def test_processes_that_start_together_make_one_key(tmp_path: Path) -> None:
    together = Barrier(8)

    def start(_: int) -> bytes:
        together.wait()
        return site_key(tmp_path / "site.key")

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(start, range(8)))) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["site.key"]


def test_a_key_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSiteKey, match=r"process\.key_file"):
        site_key(tmp_path / "absent" / "site.key")


def test_a_port_that_is_taken_is_named_with_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CanNotListen, match=f"port {port} on .* http\\.port"):
            listen("127.0.0.1", port, "http.port")
