"""What ends an association before its time. None of these texts holds content of a message.

AssociationFailed (Unavailable: backoff and another try)
├── Unreachable     no connection, or TLS could not be agreed
├── Rejected        A-ASSOCIATE-RJ, with its reason
├── Aborted         A-ABORT by the peer, or the connection was lost
├── PeerSilent      a timeout: nothing, or too little, came or was taken
├── ProtocolError   what the peer sent breaks PS3.7 or PS3.8
└── NotNegotiated   no accepted presentation context for what is to be sent
PeerReleased        A-RELEASE-RQ: the orderly end, no failure
"""

from kit.errors import Unavailable
from kit.saying import say
from schemas.shapes import Said


class AssociationFailed(Unavailable):
    """`neighbour` names the peer (an AE title, host:port), `reason` is one clause for a person."""


class Unreachable(AssociationFailed):
    pass


class Rejected(AssociationFailed):
    """The peer refused the association (PS3.8 9.3.4)."""

    def __init__(self, neighbour: str, result: int, source: int, diagnostic: int) -> None:
        form = "it refused the association: %(because)s"
        super().__init__(neighbour, say("association-refused", form, rejected(source, diagnostic)))
        self.permanent = result == 1
        self.source = source
        self.diagnostic = diagnostic


class Aborted(AssociationFailed):
    pass


class PeerSilent(AssociationFailed):
    pass


class ProtocolError(AssociationFailed):
    """`abort_reason` is the A-ABORT reason to send (PS3.8 table 9-26). A reason that is plain text is for
    engineers: which rule was broken."""

    def __init__(self, neighbour: str, reason: str | Said, abort_reason: int = 0) -> None:
        said = reason if isinstance(reason, Said) else say("protocol-broken", "%(detail)s", detail=reason)
        super().__init__(neighbour, said)
        self.abort_reason = abort_reason


class NotNegotiated(AssociationFailed):
    """The association stands; only this SOP class and transfer syntax can't be sent on it."""


class PeerReleased(Exception):
    """The peer asked for an orderly release."""


_REJECTIONS = {
    (1, 1): say("no-reason-given", "no reason given"),
    (1, 2): say("application-context", "application context not supported"),
    (1, 3): say("calling-ae-unknown", "calling AE title not recognised"),
    (1, 7): say("called-ae-unknown", "called AE title not recognised"),
    (2, 1): say("no-reason-given", "no reason given"),
    (2, 2): say("protocol-version", "protocol version not supported"),
    (3, 1): say("congestion", "temporary congestion"),
    (3, 2): say("association-limit", "limit of associations reached"),
}


def rejected(source: int, diagnostic: int) -> Said:
    """The reason of an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""
    return _REJECTIONS.get((source, diagnostic)) or say(
        "reason-unknown", "unknown reason %(source)s, %(diagnostic)s", source=source, diagnostic=diagnostic
    )
