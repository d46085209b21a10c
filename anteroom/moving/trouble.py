"""What goes wrong while an installation is moved, in sentences for the operator."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from kit.errors import AnteroomError, NoSpace, PermanentError, Refused, TransientError


class MoveError(AnteroomError):
    """What happened and what to do. Nothing is lost: the same command goes on where it stopped."""


_DISK = {
    errno.ENOSPC: "There is no space left at {place}. Make room, then run the same command again.",
    errno.EDQUOT: "The quota at {place} is used up. Make room, then run the same command again.",
    errno.EACCES: "This user may not read or write {place}. Run as the user that Anteroom runs as.",
    errno.EPERM: "This user may not read or write {place}. Run as the user that Anteroom runs as.",
    errno.EROFS: "{place} can't be written: it is mounted read-only.",
}


@contextmanager
def explained(place: str = "the disk") -> Iterator[None]:
    """Errors of disks, engines and adapters become MoveError. `place` is what is written to."""
    try:
        yield
    except MoveError:
        raise
    except OSError as error:
        text = _DISK.get(error.errno or 0, "{place} can't be used: " + os.strerror(error.errno or 0) + ".")
        raise MoveError(text.format(place=error.filename or place)) from error
    except NoSpace as error:
        raise MoveError(_DISK[errno.ENOSPC].format(place=place)) from error
    except TransientError as error:
        raise MoveError(f"Not reachable ({error}). When it is, run the same command again.") from error
    except PermanentError as error:
        raise MoveError(f"This can't be copied: {error}.") from error
    except Refused as error:
        raise MoveError(error.text) from error
    except AnteroomError as error:
        raise MoveError(str(error)) from error
