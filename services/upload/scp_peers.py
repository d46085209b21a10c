"""Who may use the DICOM door: sender accounts, and the archives that are our destinations."""

import asyncio
import ipaddress
import socket
from datetime import timedelta

from kit.destinations import DESTINATIONS
from kit.dicom.network import Peer
from kit.identity import Account
from kit.service import Kit

_FRESH = timedelta(seconds=5)
_RESOLVING_S = 5.0


class Peers:
    """Answers are at most five seconds old: what an administrator takes away is gone then."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit

    async def sender(self, peer: Peer) -> Account | None:
        """The account this peer sends for. None: it may not send."""
        return await self._kit.identity.by_association(peer.calling_ae, peer.address, peer.certificate)

    async def is_destination(self, peer: Peer) -> bool:
        """Whether it calls itself by the AE title of a destination and comes from its address."""
        page = await self._kit.documents.find(DESTINATIONS, limit=1000)
        hosts = {
            destination.host
            for destination in page.items
            if destination.kind == "dicom" and destination.called_ae == peer.calling_ae
        }
        for host in sorted(hosts):
            if peer.address in await _addresses(host):
                return True
        return False


class Recheck:
    """Asks again whether the sender is still allowed in, once its last answer is too old."""

    def __init__(self, kit: Kit, peers: Peers, peer: Peer, account: Account) -> None:
        self._clock = kit.clock
        self._peers = peers
        self._peer = peer
        self._account = account
        self._asked = kit.clock()

    async def allowed(self) -> bool:
        now = self._clock()
        if now - self._asked >= _FRESH:
            account = await self._peers.sender(self._peer)
            if account is None or account.id != self._account.id:
                return False
            self._asked = now
        return True


async def _addresses(host: str) -> set[str]:
    try:
        return {str(ipaddress.ip_address(host))}
    except ValueError:
        pass
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_RESOLVING_S):
            found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError):
        return set()
    return {str(entry[4][0]).partition("%")[0] for entry in found}
