"""HL7 messages for tests, written by hand so that they do not depend on the code they try."""

from itertools import count

_ids = count(1)


def pid(
    patient_id: str = "4711",
    name: str = "Muster^Anna",
    birth: str = "19700203",
    sex: str = "F",
    issuer: str = "HOSPITAL",
) -> str:
    return f"PID|1||{patient_id}^^^{issuer}^MR||{name}||{birth}|{sex}|||Street 1^^Town^^1010"


def header(kind: str, time: str = "20260301100000", control_id: str | None = None, more: str = "") -> str:
    return f"MSH|^~\\&|HIS|HOSPITAL|ANTEROOM|X|{time}||{kind}|{control_id or f'C{next(_ids)}'}|P|2.5.1{more}"


def adt(trigger: str = "A08", time: str = "20260301100000", control_id: str | None = None, **who: str) -> str:
    return "\r".join([header(f"ADT^{trigger}", time, control_id), f"EVN|{trigger}|{time}", pid(**who), ""])


def merge(new: str, old: str, time: str = "20260301110000", **who: str) -> str:
    lines = [header("ADT^A40^ADT_A39", time), f"EVN|A40|{time}", pid(patient_id=new, **who)]
    return "\r".join([*lines, f"MRG|{old}^^^HOSPITAL^MR", ""])


def order(
    accession: str = "ACC1",
    placer: str = "P1",
    control: str = "NW",
    time: str = "20260301120000",
    uid: str = "",
    modality: str = "CT",
    **who: str,
) -> str:
    lines = [
        header("ORM^O01^ORM_O01", time),
        pid(**who),
        f"ORC|{control}|{placer}|F{placer}||SC||^^^20260302083000",
        f"OBR|1|{placer}|F{placer}|CTHEAD^CT of the head^L||||||||||||||"
        f"{accession}|RP{placer}|SPS{placer}||||{modality}",
    ]
    if uid:
        lines.append(f"ZDS|{uid}^^Application^DICOM")
    return "\r".join([*lines, ""])
