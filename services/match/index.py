"""Looking up local patients, with what merging brought together. Reads only."""

from collections.abc import Iterable

from kit.documents.port import Documents, Has, HasPrefix, In
from services.match.documents import ORDERS, PATIENTS, OrderDoc, Patient
from services.match.rules.demographics import normal_id
from services.match.rules.known import LocalOrder, LocalPatient, StudyIdentity
from services.match.rules.names import forms
from services.match.rules.tokens import NAMING, by_rarity, study_tokens

_COMMON = 100
"""A token that more patients than this share says little: it is used only when nothing else is found."""

_ENOUGH = 200
_MOST_ORDERS = 20
_LONGEST_CHAIN = 10


class PatientIndex:
    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def likely(self, study: StudyIdentity) -> list[LocalPatient]:
        """Every patient that shares an identifier, order or exact name and birth date with the study
        (up to 100 of each), and likely ones besides: some hundreds at most, however many there are."""
        found: dict[str, Patient] = {}
        named: dict[str, OrderDoc] = {}
        common: list[Patient] = []
        for token in by_rarity(study_tokens(study)):
            if token[0] in "au":
                page = await self._documents.find(ORDERS, {"tokens": Has(token)}, limit=_COMMON)
                named.update({order.id: order for order in page.items if not order.cancelled})
                continue
            if len(found) >= _ENOUGH and token[0] not in NAMING:
                break
            patients = await self._documents.find(PATIENTS, {"tokens": Has(token)}, limit=_COMMON + 1)
            if len(patients.items) > _COMMON and token[0] not in NAMING:
                common = common or patients.items[:_COMMON]
            else:
                found.update({patient.id: patient for patient in patients.items})
        for key in {order.patient_key for order in named.values()} - found.keys():
            owner = await self._documents.get(PATIENTS, key)
            if owner is not None:
                found[owner.id] = owner
        return await self._whole(list(found.values()) or common, named.values())

    async def orders(self, keys: Iterable[str]) -> dict[str, list[LocalOrder]]:
        """The latest orders of each patient, those of retired records included."""
        found: dict[str, list[LocalOrder]] = {}
        for key in keys:
            survivor = await self._documents.get(PATIENTS, key)
            if survivor is not None:
                family = [patient.id for patient in await self._family(survivor)]
                page = await self._documents.find(
                    ORDERS, {"patient_key": In(family)}, order="said_at", descending=True, limit=_MOST_ORDERS
                )
                found[key] = [LocalOrder(o.id, o.order) for o in page.items if not o.cancelled]
        return found

    async def search(self, text: str, limit: int) -> list[LocalPatient]:
        """By the beginning of an ID, or of every word of a name in any order."""
        words = [
            form for word in text.replace("^", " ").replace(",", " ").split() for form in forms(word)[:1]
        ]
        found: dict[str, Patient] = {}
        queries = [HasPrefix(f"d:{normal_id(text)}")] if normal_id(text) else []
        queries += [HasPrefix(*(f"n:{word}" for word in words))] if words else []
        for query in queries:
            page = await self._documents.find(PATIENTS, {"tokens": query}, limit=5 * limit)
            found.update((patient.id, patient) for patient in page.items)
        return (await self._whole(list(found.values()), ()))[:limit]

    async def survivor(self, patient: Patient) -> Patient | None:
        """The record that stands for it now; None when that is deleted or not known yet."""
        seen = {patient.id}
        current: Patient | None = patient
        while current is not None and current.merged_into and len(seen) < _LONGEST_CHAIN:
            if current.merged_into in seen:
                return current
            seen.add(current.merged_into)
            current = await self._documents.get(PATIENTS, current.merged_into)
        return None if current is None or current.deleted else current

    async def _whole(self, patients: list[Patient], named: Iterable[OrderDoc]) -> list[LocalPatient]:
        survivors: dict[str, Patient] = {}
        for patient in patients:
            survivor = await self.survivor(patient)
            if survivor is not None:
                survivors[survivor.id] = survivor
        return [_local(survivor, await self._family(survivor), named) for survivor in survivors.values()]

    async def _family(self, survivor: Patient) -> list[Patient]:
        """The record and those it replaced, and those they replaced."""
        family = {survivor.id: survivor}
        todo = [survivor]
        while todo and len(family) < 50:
            parent = todo.pop()
            for key in parent.absorbed:
                child = None if key in family else await self._documents.get(PATIENTS, key)
                if child is not None and child.merged_into == parent.id:
                    family[key] = child
                    todo.append(child)
        return list(family.values())


def _local(survivor: Patient, family: list[Patient], named: Iterable[OrderDoc]) -> LocalPatient:
    members = {patient.id for patient in family}
    names = [name for patient in family for name in (patient.name, *patient.other_names) if name]
    return LocalPatient(
        key=survivor.id,
        patient=survivor.demographics,
        identifiers=tuple(dict.fromkeys(held.normal for patient in family for held in patient.held)),
        names=tuple(dict.fromkeys(names)),
        orders=tuple(LocalOrder(o.id, o.order) for o in named if o.patient_key in members),
    )
