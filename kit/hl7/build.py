"""Outgoing ADT and ORM messages, built on hl7apy's grammar so that their structure is right."""

import secrets
from datetime import datetime, tzinfo

from kit.hl7.message import escape
from kit.hl7.names import xpn_from_pn
from kit.hl7.times import hl7_time
from schemas.shapes import Demographics, Order

_VERSION = "2.5.1"


def adt(
    patient: Demographics,
    *,
    now: datetime,
    zone: tzinfo,
    trigger: str = "A04",
    retired: Demographics | None = None,
    sender: str = "ANTEROOM",
) -> str:
    """An ADT message (A01, A04, A08, A28, A31; A40 with the record that `patient` replaces)."""
    structure = {"A04": "ADT_A01", "A08": "ADT_A01", "A28": "ADT_A05", "A31": "ADT_A05", "A40": "ADT_A39"}
    message = _message(structure.get(trigger, f"ADT_{trigger}"), "ADT", trigger, now, zone, sender)
    message.evn.evn_2 = hl7_time(now, zone)
    holder = message if retired is None else message.add_group("ADT_A39_PATIENT")
    _identify(holder, patient)
    if retired is not None:
        holder.mrg.mrg_1 = _identifier(retired)
        for name in xpn_from_pn(retired.name):
            holder.mrg.add_field("MRG_7").value = name
    else:
        # Patient class: outpatient; not applicable for messages about the person.
        message.pv1.pv1_2 = "N" if trigger in ("A28", "A31") else "O"
    return _text(message)


def imaging_order(
    patient: Demographics,
    order: Order,
    *,
    now: datetime,
    zone: tzinfo,
    control: str = "NW",
    sender: str = "ANTEROOM",
) -> str:
    """An ORM^O01 as an order filler sends it to an image manager (IHE RAD-4): the accession number in
    OBR-18, requested procedure in OBR-19, scheduled step in OBR-20, the study's UID in ZDS-1."""
    message = _message("ORM_O01", "ORM", "O01", now, zone, sender)
    _identify(message.add_group("ORM_O01_PATIENT"), patient)
    group = message.add_group("ORM_O01_ORDER")
    group.orc.orc_1 = control
    group.orc.orc_2 = escape(order.placer_order_number)
    group.orc.orc_3 = escape(order.filler_order_number)
    if order.scheduled_at:
        group.orc.orc_7 = f"^^^{order.scheduled_at}"
    request = group.add_group("ORM_O01_ORDER_DETAIL").add_segment("OBR")
    request.obr_2 = escape(order.placer_order_number)
    request.obr_3 = escape(order.filler_order_number)
    request.obr_4 = f"^{escape(order.scheduled_step_description or order.requested_procedure_description)}"
    request.obr_18 = escape(order.accession_number)
    request.obr_19 = escape(order.requested_procedure_id)
    request.obr_20 = escape(order.scheduled_step_id)
    request.obr_24 = escape(order.modality)
    request.obr_44 = f"^{escape(order.requested_procedure_description)}"
    if order.study_instance_uid:
        message.add_segment("ZDS").zds_1 = f"{order.study_instance_uid}^^Application^DICOM"
    return _text(message)


def _message(structure: str, code: str, trigger: str, now: datetime, zone: tzinfo, sender: str):  # type: ignore[no-untyped-def]
    # Imported on use: hl7apy takes a third of a second to load and only senders need it.
    from hl7apy.core import Message

    message = Message(structure, version=_VERSION)
    message.msh.msh_3 = escape(sender)
    message.msh.msh_7 = hl7_time(now, zone)
    message.msh.msh_9 = f"{code}^{trigger}^{structure}"
    message.msh.msh_10 = secrets.token_hex(10)
    message.msh.msh_11 = "P"
    message.msh.msh_18 = "UNICODE UTF-8"
    return message


def _identify(holder, patient: Demographics) -> None:  # type: ignore[no-untyped-def]
    segment = holder.add_segment("PID")
    segment.pid_3 = _identifier(patient)
    for name in xpn_from_pn(patient.name):
        segment.add_field("PID_5").value = name
    segment.pid_7 = patient.birth_date
    segment.pid_8 = patient.sex


def _identifier(patient: Demographics) -> str:
    return f"{escape(patient.patient_id)}^^^{escape(patient.issuer)}^MR"


def _text(message) -> str:  # type: ignore[no-untyped-def]
    text: str = message.to_er7()
    return text.replace("\n", "\r").rstrip("\r") + "\r"
