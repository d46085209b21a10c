"""What an HL7 message says of patients, orders and merges (HL7 2.5.1 chapters 3 and 4, IHE RAD-2/3/4/12)."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo

from kit.hl7.message import NULL, Message, Segment, Value
from kit.hl7.names import other_names, pn_from_xpn
from kit.hl7.times import dicom_date, dicom_datetime, instant
from kit.ids import derived_id
from schemas.shapes import Demographics, Order
from services.match.rules.demographics import normal_id, normal_issuer, normal_sex

MERGES = frozenset({"A18", "A34", "A36", "A39", "A40", "A47"})
"""Patient ID merges, and A47, a change of the ID."""

DELETION = "A29"
ORDERS = frozenset({("ORM", "O01"), ("OMI", "O23"), ("OMG", "O19")})
_MOST_ORDERS = 100
_MOST_IDENTIFIERS = 20
_NOT_A_PATIENT_ID = frozenset({"AN", "VN", "SS", "DL", "BA", "CC", "BC", "PPN", "DN", "EN"})
"""Table 0203: account, visit, social security, driver's licence, bank, card, passport, staff numbers."""

_CANCELS = frozenset({"CA", "DC", "OC", "CR", "DR", "OD"})
"""Table 0119: cancel and discontinue, requested or done."""


@dataclass(frozen=True)
class HeldId:
    """An identifier as it was written; `universal` is the other name of its issuer (HD-2)."""

    value: str
    issuer: str
    universal: str = ""
    kind: str = ""

    @property
    def key(self) -> str:
        return patient_key(self.issuer or self.universal, self.value)


@dataclass(frozen=True)
class PatientFacts:
    """None: the message says nothing of it. Empty: the message deletes it."""

    held: tuple[HeldId, ...]
    """The primary one first."""
    name: str | None
    other_names: tuple[str, ...]
    birth_date: str | None
    sex: str | None
    deleted: bool = False

    @property
    def key(self) -> str:
        return self.held[0].key

    @property
    def demographics(self) -> Demographics:
        return Demographics(
            patient_id=self.held[0].value,
            issuer=self.held[0].issuer or self.held[0].universal,
            name=self.name or "",
            birth_date=self.birth_date or "",
            sex=self.sex or "",
        )


@dataclass(frozen=True)
class OrderFacts:
    key: str
    order: Order
    cancelled: bool


@dataclass(frozen=True)
class MergeFacts:
    """The surviving patient as the message has it, and the record that it replaces."""

    surviving: PatientFacts
    retired: PatientFacts


def patient_key(issuer: str, value: str) -> str:
    """Id of the local record. Issuer and ID are compared without regard to case and blanks."""
    return derived_id("patient", (normal_issuer(issuer) or ("",))[0], normal_id(value))


def message_time(message: Message, received: datetime, zone: tzinfo) -> datetime:
    """When what the message says was true: the earlier of EVN-2 and MSH-7, where they have minutes.

    A clock far ahead would keep later messages out, so that a future time counts as now.
    """
    event = message.first("EVN")
    said = [instant(message.header.text(7), zone), instant(event.text(2), zone) if event else None]
    times = [when for when in said if when is not None]
    if not times or min(times) > received + timedelta(minutes=5):
        return received
    return min(times)


def patients(message: Message, default_issuer: str) -> list[PatientFacts]:
    """Of every PID with an ID; of the first alone unless the message merges several pairs."""
    found = [
        facts for segment in message.all("PID") if (facts := _patient(segment, default_issuer)) is not None
    ]
    if message.code == "ADT" and message.trigger in MERGES:
        return found
    if message.code == "ADT" and message.trigger == DELETION:
        return [replace(facts, deleted=True) for facts in found[:1]]
    return found[:1]


def merges(message: Message, default_issuer: str) -> list[MergeFacts]:
    if message.code != "ADT" or message.trigger not in MERGES:
        return []
    pairs: list[MergeFacts] = []
    surviving: PatientFacts | None = None
    for segment in message.segments:
        if segment.name == "PID":
            surviving = _patient(segment, default_issuer)
        elif segment.name == "MRG" and surviving is not None:
            for identifier in _retired_ids(segment, default_issuer):
                retired = _facts(segment, (identifier,), name_field=7)
                if retired.key != surviving.key:
                    pairs.append(MergeFacts(surviving, retired))
    return pairs


def orders(message: Message, zone: tzinfo, *, accession_from_filler: bool = True) -> list[OrderFacts]:
    """One for each OBR, or each IPC where there are any, of an order message."""
    if (message.code, message.trigger) not in ORDERS:
        return []
    found: dict[str, OrderFacts] = {}
    uids = [uid for segment in message.all("ZDS") if (uid := _plain(segment.text(1)))]
    for group in _order_groups(message):
        for step in group.steps or (None,):
            order = _order(group, step, zone, accession_from_filler)
            if not order.study_instance_uid and len(set(uids)) == 1:
                order = order.model_copy(update={"study_instance_uid": uids[0]})
            key = order_key(order, group.namespace)
            if key:
                found[key] = OrderFacts(key, order, group.control in _CANCELS)
    return list(found.values())[:_MOST_ORDERS]


@dataclass
class _Group:
    """One ORC with what follows it."""

    control: str
    common: Segment | None
    request: Segment | None = None
    timing: Segment | None = None
    steps: list[Segment] = field(default_factory=list)
    uid: str = ""

    @property
    def namespace(self) -> str:
        """Of the placer order number (EI-2)."""
        return _plain(self.common.text(2, 2)).upper() if self.common is not None else ""


def _order_groups(message: Message) -> Iterator[_Group]:
    group: _Group | None = None
    for segment in message.segments:
        if segment.name == "ORC":
            if group is not None:
                yield group
            group = _Group(segment.text(1).upper(), segment)
        elif segment.name == "OBR":
            if group is None:
                group = _Group("", None)
            elif group.request is not None:
                yield group
                group = _Group(group.control, group.common)
            group.request = segment
        elif group is not None and segment.name == "TQ1" and group.timing is None:
            group.timing = segment
        elif group is not None and segment.name == "IPC":
            group.steps.append(segment)
        elif group is not None and segment.name == "ZDS":
            group.uid = _plain(segment.text(1))
    if group is not None:
        yield group


def _order(group: _Group, step: Segment | None, zone: tzinfo, accession_from_filler: bool) -> Order:
    common, request, timing = group.common, group.request, group.timing

    def of(segment: Segment | None, number: int, component: int = 1) -> str:
        return _plain(segment.text(number, component)) if segment is not None else ""

    filler = of(common, 3) or of(request, 3)
    accession = of(step, 1) or of(request, 18) or (filler if accession_from_filler else "")
    planned = of(timing, 7) or of(common, 7, 4) or of(request, 27, 4) or of(request, 36)
    protocol = of(step, 6, 2) or of(step, 6)
    service = of(request, 4, 2) or of(request, 4, 5) or of(request, 4)
    return Order(
        accession_number=accession,
        accession_issuer=of(step, 1, 2),
        requested_procedure_id=of(step, 2) or of(request, 19),
        requested_procedure_description=of(request, 44, 2) or service,
        scheduled_step_id=of(step, 4) or of(request, 20),
        scheduled_step_description=protocol or service,
        study_instance_uid=of(step, 3) or group.uid,
        modality=(of(step, 5) or of(request, 24)).upper()[:16],
        scheduled_at=dicom_datetime(planned, zone),
        placer_order_number=of(common, 2) or of(request, 2),
        filler_order_number=filler,
    )


def order_key(order: Order, namespace: str = "") -> str:
    """The same order under the same id, whichever numbers later messages add: the placer's number
    stays from the first message on, the filler's and the accession number come with scheduling."""
    number = order.placer_order_number or order.filler_order_number or order.accession_number
    if not number:
        return ""
    step = order.scheduled_step_id or order.requested_procedure_id
    return derived_id("order", namespace, normal_id(number), normal_id(step))


def _patient(segment: Segment, default_issuer: str) -> PatientFacts | None:
    held = _held(segment.values(3), default_issuer)
    return _facts(segment, held, name_field=5) if held else None


def _facts(segment: Segment, held: tuple[HeldId, ...], *, name_field: int) -> PatientFacts:
    names = segment.values(name_field)
    name = pn_from_xpn(names)
    person = segment.name == "PID"
    return PatientFacts(
        held=held,
        name=name if name or segment.raw(name_field) == NULL else None,
        other_names=tuple(other_names([*names, *(segment.values(9) if person else [])], name)),
        birth_date=_birth_date(segment) if person else None,
        sex=_sex(segment) if person else None,
    )


def _birth_date(segment: Segment) -> str | None:
    if segment.raw(7) == NULL:
        return ""
    return dicom_date(segment.text(7)) or None


def _sex(segment: Segment) -> str | None:
    if segment.raw(8) == NULL:
        return ""
    return normal_sex(segment.text(8)) or None


def _held(values: list[Value], default_issuer: str) -> tuple[HeldId, ...]:
    """Patient IDs, the primary first: of the hospital's own issuer, else the first MR or PI, else any."""
    found: list[HeldId] = []
    for value in values[:_MOST_IDENTIFIERS]:
        text = _plain(value.text(1))
        if not normal_id(text):
            continue
        issuer, universal = _plain(value.text(4, 1)), _plain(value.text(4, 2))
        if not issuer and not universal:
            issuer = default_issuer
        found.append(HeldId(text, issuer, universal, _plain(value.text(5)).upper()[:8]))
    usable = [held for held in found if held.kind not in _NOT_A_PATIENT_ID] or found[:1]
    own = normal_issuer(default_issuer)

    def rank(held: HeldId) -> int:
        if own and set(own) & set(normal_issuer(held.issuer, held.universal)):
            return 0
        return 1 if held.kind in ("MR", "PI", "PT") else 2

    unique = dict.fromkeys(usable)
    return tuple(sorted(unique, key=rank))


def _plain(text: str) -> str:
    """Without control characters, at most 64 characters; a null is empty."""
    if text == NULL:
        return ""
    return text[:64] if text.isprintable() else "".join(c for c in text if c.isprintable()).strip()[:64]


def _retired_ids(segment: Segment, default_issuer: str) -> tuple[HeldId, ...]:
    """MRG-1, or MRG-4 (the older single ID) where that is empty."""
    return _held(segment.values(1) or segment.values(4), default_issuer)
