"""The error tree. A family says what happens to the event or task that met it.

AnteroomError
├── PermanentError      dead letter at once, with the reason: trying again can't help
├── TransientError      backoff and another try: a neighbour is away for now
│   ├── Contended       others changed the same first, again and again
│   ├── NotYet          an event came before what it is about
│   ├── Unavailable     names the neighbour (antivirus, PACS, SMTP server, …)
│   │   └── StoreAway   the document or object store can't be reached: events wait for it without limit
│   ├── NoSpace         a store or the data volume is full: events wait as for a store that is away
│   └── Uncertain       the neighbour fell silent after it had everything: it may have acted
├── VersionConflict     somebody else saved first: read again, decide again
└── Refused             said to a person or a sender: what is wrong and what to do
    ├── NotFound        404
    ├── Forbidden       403
    ├── Gone            410: it was here
    ├── Stale           409: decided on a view that is no longer current
    ├── TooLarge        413
    ├── TooMany         429: tried too often, wait a while
    └── Crowded         429: as many are open as there may be
Anything else is a defect: a few tries, then dead letter.
"""

import math
from datetime import timedelta

from kit.saying import as_said, say
from schemas.shapes import Said


class AnteroomError(Exception):
    """Root of all errors raised on purpose. Made with something said (kit.saying), it can be told in any
    language."""

    @property
    def said(self) -> Said:
        return self.args[0] if self.args and isinstance(self.args[0], Said) else Said(text=str(self))


class PermanentError(AnteroomError):
    """Trying again cannot help. Goes to the dead letters with its text (which never holds PHI)."""


class TransientError(AnteroomError):
    """Trying again later may help."""


class Contended(TransientError):
    """Others changed it first, again and again. `what` is a thing with its article, without PHI; pages know
    its name in other languages."""

    def __init__(self, what: str) -> None:
        super().__init__(say("contended", "%(what)s is being changed by many at once", what=what))
        self.what = what

    def __reduce__(self) -> tuple[type["Contended"], tuple[str]]:
        return type(self), (self.what,)


class NotYet(TransientError):
    """An event was overtaken: what it is about is heard of later. `what` as above."""

    def __init__(self, what: str) -> None:
        super().__init__(say("not-yet", "%(what)s is not here yet", what=what))
        self.what = what

    def __reduce__(self) -> tuple[type["NotYet"], tuple[str]]:
        return type(self), (self.what,)


class Unavailable(TransientError):
    """A neighbour can't be reached or answers that it is busy."""

    def __init__(self, neighbour: str, reason: str | Said) -> None:
        super().__init__(say("neighbour", "%(neighbour)s: %(because)s", as_said(reason), neighbour=neighbour))
        self.neighbour = neighbour
        self.reason = as_said(reason)

    def __reduce__(self) -> tuple[type["Unavailable"], tuple[str, Said]]:
        return type(self), (self.neighbour, self.reason)


class StoreAway(Unavailable):
    """The document or the object store can't be reached: without it nothing can be handled."""


class NoSpace(TransientError):
    """The volume is full (507): nothing was kept. The text is for whoever sent it."""

    status = 507
    code = "disk-full"

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Uncertain(TransientError):
    """A neighbour was given everything and did not answer: what was asked may have happened."""


class VersionConflict(AnteroomError):
    """The document was saved by somebody else since it was read, or already exists (insert)."""

    def __init__(self, collection: str, doc_id: str, expected: int) -> None:
        super().__init__(f"{collection}/{doc_id} is no longer at version {expected}")


class Refused(AnteroomError):
    """A request that can't be granted. `code` is for programs, the text is for the person; no PHI."""

    status = 400

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    def __reduce__(self) -> tuple[type["Refused"], tuple[str, str]]:
        return type(self), (self.code, self.text)


class NotFound(Refused):
    status = 404


class Unauthorized(Refused):
    status = 401


class Forbidden(Refused):
    status = 403


class Gone(Refused):
    """It was here."""

    status = 410


class Stale(Refused):
    status = 409


class TooLarge(Refused):
    status = 413


class TooMany(Refused):
    """Tried too often. `wait` says how long nothing more is looked at."""

    status = 429

    def __init__(self, wait: timedelta) -> None:
        minutes = max(1, math.ceil(wait.total_seconds() / 60))
        text = f"That was tried too often. Wait {minutes} minutes, then try again."
        super().__init__("too-many", text.replace(" 1 minutes", " a minute"))
        self.wait = wait

    def __reduce__(self) -> tuple[type["TooMany"], tuple[timedelta]]:  # type: ignore[override]
        return type(self), (self.wait,)


class Crowded(Refused):
    """There is room again as soon as somebody lets go of theirs."""

    status = 429


class Unsupported(Refused):
    status = 415
