"""DICOM over the network, on asyncio: the side that calls (Association) and the side that listens."""

from kit.dicom.network.associate import Context
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
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    PLAIN,
    STUDY_ROOT_FIND,
    VERIFICATION,
    WORKLIST_FIND,
    Association,
    QueryFailed,
)
from kit.dicom.network.statuses import Family, Status
from kit.dicom.network.tls import client_context, server_context

__all__ = [
    "COMMITMENT_CLASS",
    "EXPLICIT_LITTLE",
    "IMPLICIT_LITTLE",
    "PLAIN",
    "STUDY_ROOT_FIND",
    "VERIFICATION",
    "WORKLIST_FIND",
    "Aborted",
    "Association",
    "AssociationFailed",
    "CommitmentReport",
    "Context",
    "Family",
    "NotNegotiated",
    "PeerSilent",
    "ProtocolError",
    "QueryFailed",
    "Rejected",
    "Status",
    "Timeouts",
    "Unreachable",
    "client_context",
    "server_context",
]
