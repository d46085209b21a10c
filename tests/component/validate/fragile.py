"""A reader that some contents break."""

import os
import signal
import time

from kit.objects.port import Objects
from services.validate import reading
from services.validate.jobs import BatchJob, BatchResult
from services.validate.reading import read_batch


def reads(objects: Objects, job: BatchJob) -> BatchResult:
    """As read_batch, in a house where a member with this content ends, or hangs, the process."""
    original = reading._Reading._file

    def fragile(self: reading._Reading, member: object, record: object) -> None:
        data = member.open(self.tar).read()  # type: ignore[attr-defined]
        if data == b"kill me":
            os.kill(os.getpid(), signal.SIGKILL)
        if data == b"hang me":
            time.sleep(3600)
        if data == b"raise":
            raise ZeroDivisionError
        original(self, member, record)  # type: ignore[arg-type]

    reading._Reading._file = fragile  # type: ignore[method-assign, assignment]
    try:
        return read_batch(objects, job)
    finally:
        reading._Reading._file = original  # type: ignore[method-assign]
