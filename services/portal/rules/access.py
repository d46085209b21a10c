"""Who may see what of a case. Pure."""

from kit.identity import Principal, Role
from services.portal.models import Case


def is_staff(who: Principal) -> bool:
    """Staff of the hospital see every study; a sender sees what its own account sent."""
    return who.may(Role.VIEW) or who.may(Role.APPROVE)


def may_see(who: Principal, case: Case) -> bool:
    if is_staff(who):
        return True
    return who.may(Role.SEND) and case.sender_id == who.account.id
