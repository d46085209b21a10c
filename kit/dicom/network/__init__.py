"""DICOM over the network, on asyncio: the side that calls (Association) and the side that listens."""

from kit.dicom.network import statuses
from kit.dicom.network.acceptor import (
    CONGESTED,
    UNKNOWN_CALLED_AE,
    UNKNOWN_CALLING_AE,
    AssociationServer,
    Limits,
    Peer,
    Rejection,
    Session,
    StoreRequest,
)
from kit.dicom.network.associate import Context
from kit.dicom.network.contexts import EXPLICIT_LITTLE, IMPLICIT_LITTLE, VERIFICATION
from kit.dicom.network.datasets import COMMITMENT_CLASS, CommitmentReport
from kit.dicom.network.errors import (
    Aborted,
    AssociationFailed,
    NotNegotiated,
    PeerSilent,
    ProtocolError,
    Rejected,
    Unreachable,
)
from kit.dicom.network.messages import Timeouts
from kit.dicom.network.requestor import (
    PLAIN,
    STUDY_ROOT_FIND,
    WORKLIST_FIND,
    Association,
    QueryFailed,
)
from kit.dicom.network.statuses import Family, Status
from kit.dicom.network.tls import client_context, server_context

__all__ = [
    "COMMITMENT_CLASS",
    "CONGESTED",
    "EXPLICIT_LITTLE",
    "IMPLICIT_LITTLE",
    "PLAIN",
    "STUDY_ROOT_FIND",
    "UNKNOWN_CALLED_AE",
    "UNKNOWN_CALLING_AE",
    "VERIFICATION",
    "WORKLIST_FIND",
    "Aborted",
    "Association",
    "AssociationFailed",
    "AssociationServer",
    "CommitmentReport",
    "Context",
    "Family",
    "Limits",
    "NotNegotiated",
    "Peer",
    "PeerSilent",
    "ProtocolError",
    "QueryFailed",
    "Rejected",
    "Rejection",
    "Session",
    "Status",
    "StoreRequest",
    "Timeouts",
    "Unreachable",
    "client_context",
    "server_context",
    "statuses",
]
