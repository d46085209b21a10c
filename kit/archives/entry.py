"""What an archive reader hands out, and how it fails."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from kit.errors import AnteroomError


class ArchiveError(AnteroomError):
    """The container can't be opened, or not read any further; what came before is good.

    Codes: archive-damaged, archive-encrypted, archive-unsupported, archive-lies, archive-too-many.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class MemberError(AnteroomError):
    """This member can't be read; its neighbours can.

    Codes: member-encrypted, member-damaged, member-unsupported, member-lies.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Entry:
    """One member. Its name is text to show, never a path to open.

    `size` is what the container says (None: it does not say). `open` gives a reader that raises
    MemberError where the content is not what was promised; it is read before the next entry is
    asked for. An entry with `skipped` (link, device) is no file and has no content.
    """

    name: str
    size: int | None
    open: Callable[[], BinaryIO]
    skipped: str = ""
