import asyncio

from services.portal.live import Live


async def test_every_listener_hears_and_beats_come_without_news():
    live = Live()
    one, other = live.changes(60), live.changes(0.01)
    first, second = asyncio.create_task(anext(one)), asyncio.create_task(anext(other))
    await asyncio.sleep(0)
    live.changed("s1")
    assert (await first, await second) == ("s1", "s1")
    assert await anext(other) == ""
    await one.aclose()
    await other.aclose()
    live.changed("s2")


async def test_a_page_that_does_not_read_costs_nothing_more():
    live = Live()
    slow = live.changes(60)
    waiting = asyncio.create_task(anext(slow))
    await asyncio.sleep(0)
    for n in range(2000):
        live.changed(f"s{n}")
    assert await waiting == "s0"
    await slow.aclose()


async def test_what_changed_is_spread_and_what_others_tell_is_not():
    live = Live()
    spread: list[str] = []
    live.spread = spread.append
    page = live.changes(60)
    first = asyncio.create_task(anext(page))
    await asyncio.sleep(0)
    live.tell("s1")
    live.changed("s2")
    assert (await first, await anext(page)) == ("s1", "s2")
    assert spread == ["s2"]
    await page.aclose()
