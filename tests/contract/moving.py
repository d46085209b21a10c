"""What a group is given in a cluster."""

import asyncio

from anteroom.cluster import open_cluster
from schemas.notify import NoticeSent
from tests.neighbours.cluster_place import Place
from tests.unit.moving.house import GROUP


async def heard(place: Place, most: int) -> list[str]:
    """What the group is given in the cluster: all, once `most` came and nothing is behind them."""
    cluster = open_cluster(place.settings, place.data / "heard")
    found: list[str] = []
    done = asyncio.Event()

    async def handle(event: NoticeSent) -> None:
        found.append(event.id)
        if len(found) == most:
            done.set()

    cluster.bus.subscribe(NoticeSent, GROUP, handle)
    await cluster.connect()
    await cluster.bus.start()
    await asyncio.wait_for(done.wait(), 60)
    lag = await cluster.bus.lag()
    await cluster.close()
    assert lag[GROUP, NoticeSent.topic] == 0
    return found
