"""Refusals with statuses of their own, beside those of kit.errors."""

from kit.errors import Refused


class Conflict(Refused):
    """It contradicts what is already there."""

    status = 409


class Incomplete(Conflict):
    """Announced files have not come."""

    def __init__(self, missing: str) -> None:
        super().__init__(
            "incomplete",
            "Some announced files have not come. Send them, or close with incomplete set to true.",
        )
        self.missing = missing


class WrongVersion(Refused):
    status = 412


class Locked(Refused):
    status = 423


class SlowDown(Refused):
    status = 429


class Busy(Refused):
    """This process has as much under way as it takes; another, or a later try, will do."""

    status = 503


class TooSlow(Refused):
    status = 408


class BrokenOff(Refused):
    """The sender went away in the middle of a body. Nobody reads this answer."""


class ChecksumMismatch(Refused):
    """Status of the tus checksum extension."""

    status = 460


def submission_closed() -> Conflict:
    return Conflict("submission-closed", "This submission is closed. Open a new one for more files.")


def too_many_files(most: int) -> Refused:
    return Refused("too-many-files", f"A submission may have {most:,} files. Split it into several.")
