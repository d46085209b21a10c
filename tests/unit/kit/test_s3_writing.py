"""What waits for the object store lies where the room is watched, and little of it in memory."""

import os
from pathlib import Path

from kit.objects.s3 import S3Objects, S3Settings

MIB = 1 << 20


def unnamed_bytes(folder: Path) -> int:
    """Of files of this process in that folder that have no name (proc(5), fd)."""
    found = 0
    for number in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{number}").startswith(f"{folder}/"):
                found += os.stat(f"/proc/self/fd/{number}").st_size
        except OSError:
            continue
    return found


def test_open_writers_hold_their_bytes_in_the_scratch_folder(tmp_path: Path) -> None:
    objects = S3Objects(S3Settings("127.0.0.1:1", "k", "s", scratch=tmp_path))
    writers = [objects.writer(f"incoming/s/u{number}/00000") for number in range(4)]
    for writer in writers:
        writer.write(bytes(MIB))
    assert unnamed_bytes(tmp_path) == 4 * MIB
    for writer in writers:
        writer.__exit__(None, None, None)
    assert unnamed_bytes(tmp_path) == 0
