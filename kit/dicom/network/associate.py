"""The association PDUs (PS3.8 9.3.2 to 9.3.4), encoded and decoded by pynetdicom's classes."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import PresentationContext

from kit.dicom.meta import IMPLEMENTATION_NAME, IMPLEMENTATION_UID
from kit.dicom.network.messages import MAX_PDU

ASSOCIATION_LIMIT = 256 * 1024
"""Bytes of an association PDU; 128 contexts of 30 transfer syntaxes take a third of it."""
CONTEXT_LIMIT = 128
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"

# What a peer sends is content: pynetdicom would log parts of it.
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)


class BadAssociation(ValueError):
    """Not a well-formed association PDU. The text holds nothing of its content."""


@dataclass(frozen=True)
class Context:
    """A presentation context to propose: one SOP class, the transfer syntaxes in order of preference."""

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True)
class Offer:
    """A presentation context as proposed to us, with its id."""

    id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """Result 0 accepts; 1 user rejection, 3 abstract syntax, 4 transfer syntaxes not supported."""

    id: int
    result: int
    transfer_syntax: str


@dataclass(frozen=True)
class Request:
    called_ae: str
    calling_ae: str
    application_context: str
    offers: tuple[Offer, ...]
    roles: Mapping[str, tuple[bool, bool]]
    """SOP class to (the requestor would be SCU, it would be SCP)."""
    max_pdu: int


@dataclass(frozen=True)
class Acceptance:
    answers: tuple[Answer, ...]
    max_pdu: int


def encode_request(called_ae: str, calling_ae: str, contexts: Sequence[Context]) -> bytes:
    """Ids are 1, 3, 5 … in the order of `contexts`. Raises ValueError for an invalid AE title."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = APPLICATION_CONTEXT
    primitive.called_ae_title = called_ae
    primitive.calling_ae_title = calling_ae
    proposed = []
    for position, context in enumerate(contexts):
        item = PresentationContext()
        item.context_id = 2 * position + 1
        item.abstract_syntax = context.abstract_syntax
        for syntax in context.transfer_syntaxes:
            item.add_transfer_syntax(syntax)
        proposed.append(item)
    primitive.presentation_context_definition_list = proposed
    primitive.user_information = _user_information()
    return bytes(A_ASSOCIATE_RQ(primitive).encode())


def encode_acceptance(
    request: Request, answers: Iterable[Answer], roles: Mapping[str, tuple[bool, bool]]
) -> bytes:
    primitive = A_ASSOCIATE()
    primitive.application_context_name = APPLICATION_CONTEXT
    primitive._called_ae_title = request.called_ae
    primitive._calling_ae_title = request.calling_ae
    primitive.result = 0
    results = []
    for answer in answers:
        item = PresentationContext()
        item.context_id = answer.id
        item.result = answer.result
        item.add_transfer_syntax(answer.transfer_syntax)
        results.append(item)
    primitive.presentation_context_definition_results_list = results
    information = _user_information()
    for sop_class, (scu, scp) in roles.items():
        role = SCP_SCU_RoleSelectionNegotiation()
        role.sop_class_uid = sop_class
        role.scu_role, role.scp_role = scu, scp
        information.append(role)
    primitive.user_information = information
    return bytes(A_ASSOCIATE_AC(primitive).encode())


def encode_rejection(result: int, source: int, diagnostic: int) -> bytes:
    primitive = A_ASSOCIATE()
    primitive.result, primitive.result_source, primitive.diagnostic = result, source, diagnostic
    return bytes(A_ASSOCIATE_RJ(primitive).encode())


def decode_request(pdu: bytes) -> Request:
    """`pdu` with its header, at most ASSOCIATION_LIMIT long. Raises BadAssociation."""
    try:
        decoded = A_ASSOCIATE_RQ()
        decoded.decode(pdu)
        offers = tuple(
            Offer(item.presentation_context_id, str(item.abstract_syntax or ""), _uids(item.transfer_syntax))
            for item in decoded.presentation_context
        )
        information = decoded.user_information
        roles = {
            str(uid): (bool(role.scu_role), bool(role.scp_role))
            for uid, role in (information.role_selection if information else {}).items()
        }
        request = Request(
            called_ae=decoded.called_ae_title.strip(),
            calling_ae=decoded.calling_ae_title.strip(),
            application_context=str(decoded.application_context_name or ""),
            offers=offers,
            roles=roles,
            max_pdu=(information.maximum_length if information else None) or 0,
        )
    except Exception as error:  # bytes from outside in a decoder that raises what it likes
        raise BadAssociation("it sent an association request that can't be read") from error
    ids = [offer.id for offer in offers]
    if len(ids) > CONTEXT_LIMIT or len(set(ids)) != len(ids) or any(number % 2 == 0 for number in ids):
        raise BadAssociation("it proposed presentation contexts with wrong numbers")
    return request


def decode_acceptance(pdu: bytes) -> Acceptance:
    """Raises BadAssociation."""
    try:
        decoded = A_ASSOCIATE_AC()
        decoded.decode(pdu)
        answers = tuple(
            Answer(item.presentation_context_id, item.result, str(item.transfer_syntax or ""))
            for item in decoded.presentation_context
        )
        information = decoded.user_information
        return Acceptance(answers, (information.maximum_length if information else None) or 0)
    except Exception as error:  # bytes from outside in a decoder that raises what it likes
        raise BadAssociation("it sent an association answer that can't be read") from error


def decode_rejection(pdu: bytes) -> tuple[int, int, int]:
    """Result, source, diagnostic (PS3.8 table 9-21). `pdu` is 10 bytes."""
    return pdu[7], pdu[8], pdu[9]


def _uids(values: Iterable[object]) -> tuple[str, ...]:
    return tuple(str(value) for value in values)


def _user_information() -> list[object]:
    length = MaximumLengthNotification()
    length.maximum_length_received = MAX_PDU
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = IMPLEMENTATION_UID
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = IMPLEMENTATION_NAME
    return [length, implementation, version]
