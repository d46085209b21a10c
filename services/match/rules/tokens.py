"""Tokens under which patients, orders and waiting studies are found, the most telling kinds first.

i:issuer:id      an identifier of a known issuer
a:accession      an accession number
u:uid            a Study Instance UID promised by an order
x:name:date      family and given name with the whole birth date
d:id             an identifier by its text alone
p:sounds:year    how family and given name sound, with the year of birth
p:sounds         the same of any year
b:date           the birth date alone
f:sound:year     how the family or the given name sounds, with the year of birth
n:word           a word of a name, for searching by hand (patients only)
into:key         of a retired record: the one it was merged into
"""

from collections.abc import Iterable

from schemas.shapes import Demographics, Order
from services.match.rules.demographics import Identifier, full_date, normal_id
from services.match.rules.known import StudyIdentity, identifier_of
from services.match.rules.names import groups, sound

NAMING = frozenset("iauxd")
"""Kinds that name a person or an order; the others only make one likely."""

_RANK = {kind: rank for rank, kind in enumerate(("i", "a", "u", "x", "d", "p", "b", "f"))}
_MOST = 120


def by_rarity(tokens: Iterable[str]) -> list[str]:
    """Those that point to few records first; longer ones of a kind before shorter ones."""
    blocking = (token for token in tokens if token.partition(":")[0] in _RANK)
    return sorted(blocking, key=lambda token: (_RANK[token.partition(":")[0]], -token.count(":"), token))


def exact_tokens(name: str, birth_date: str) -> list[str]:
    """Every record with the same family and given name and whole birth date shares one of them."""
    date = full_date(birth_date)
    if not date:
        return []
    return [
        f"x:{family}^{given}:{date}"
        for group in groups(name)
        if group.whole and not group.guessed
        for family in group.family
        for given in group.given
    ]


def person_tokens(name: str, birth_date: str) -> list[str]:
    tokens = exact_tokens(name, birth_date)
    date = full_date(birth_date)
    for group in groups(name):
        if group.whole:
            for family in group.family:
                for given in group.given:
                    # Sorted, so that swapped family and given names meet.
                    sounds = "^".join(sorted((sound(family), sound(given))))
                    tokens += [f"p:{sounds}"] + ([f"p:{sounds}:{date[:4]}"] if date else [])
        if date:
            tokens += [f"f:{sound(form)}:{date[:4]}" for form in (*group.family[:1], *group.given[:1])]
    if date:
        tokens.append(f"b:{date}")
    return tokens


def identifier_tokens(identifiers: Iterable[Identifier]) -> list[str]:
    tokens = []
    for identifier in identifiers:
        if identifier.value:
            tokens += [f"i:{issuer}:{identifier.value}" for issuer in identifier.issuers]
            tokens.append(f"d:{identifier.value}")
    return tokens


def order_tokens(order: Order) -> list[str]:
    tokens = [f"a:{normal_id(order.accession_number)}"] if order.accession_number else []
    return tokens + ([f"u:{order.study_instance_uid}"] if order.study_instance_uid else [])


def study_tokens(study: StudyIdentity) -> list[str]:
    tokens = order_tokens(
        Order(accession_number=study.accession_number, study_instance_uid=study.study_instance_uid)
    )
    for patient in study.identities[:8]:
        tokens += demographic_tokens(patient)
    return _bounded(tokens)


def demographic_tokens(patient: Demographics) -> list[str]:
    return identifier_tokens([identifier_of(patient)]) + person_tokens(patient.name, patient.birth_date)


def patient_tokens(identifiers: Iterable[Identifier], names: Iterable[str], birth_date: str) -> list[str]:
    tokens = identifier_tokens(identifiers)
    for name in names:
        tokens += person_tokens(name, birth_date)
        tokens += [
            f"n:{form}"
            for group in groups(name)
            for part in (group.family, group.given, group.middle)
            for form in part
        ]
    return _bounded(tokens)


def _bounded(tokens: list[str]) -> list[str]:
    return [token[:200] for token in dict.fromkeys(tokens)][:_MOST]
