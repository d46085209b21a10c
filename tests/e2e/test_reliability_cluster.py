"""One service a process, on the real engines, while everything that can break does.

Processes are killed at random and started again, Kafka and the document store restart, the object store
is away, the PACS hangs, every process is replaced in turn. Afterwards every file is accounted for, every
approved study is in the PACS once, every notice was sent once or at most twice, and nothing died but what
was planted.

ANTEROOM_RELIABILITY says how many submissions are sent (`make reliability`: 200); ANTEROOM_SEED repeats
the choices of a run.
"""

import os
import random
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.reliability import accounts
from tests.e2e.reliability.parcels import KINDS
from tests.e2e.reliability.stage import Stage, staged
from tests.e2e.reliability.traffic import DICOM
from tests.e2e.reliability.trouble import Trouble
from tests.neighbours.pacs import StartOrthanc

SUBMISSIONS = int(os.environ.get("ANTEROOM_RELIABILITY", "20"))
FULL = SUBMISSIONS >= 100
KILLS = max(14, SUBMISSIONS // 4)
SENDERS = 4
PLANTED = 2
SETTLE_S = 300 + 3 * SUBMISSIONS

pytestmark = pytest.mark.slow

_WEIGHTS = {"ct": 6, "mr": 3, "zipped": 2, "documents": 2, "hostile": 3, DICOM: 4}


@pytest.fixture
def stage(tmp_path: Path, start_orthanc: StartOrthanc) -> Iterator[Stage]:
    with staged(tmp_path, start_orthanc) as stage:
        yield stage


def test_nothing_is_lost_while_processes_die_and_engines_come_and_go(stage: Stage) -> None:
    seed = int(os.environ.get("ANTEROOM_SEED", random.randrange(1 << 30)))
    chance = random.Random(seed)
    print(f"\nANTEROOM_SEED={seed}")
    _send_one_of_each_in_peace(stage)
    with stage.cluster.api() as api:
        expected = {
            one.parcel.kind: accounts.tally(api, one.submission) for one in stage.traffic.promised.sent
        }
        told = {
            one.parcel.kind: accounts.kinds_by_recipient(api).get(one.recipient, set())
            for one in stage.traffic.promised.sent
        }
    letters = accounts.plant_dead_letters(stage.cluster, PLANTED)

    kinds = chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=SUBMISSIONS)
    began = time.monotonic()
    stage.traffic.start([(f"N{number:03}", kind) for number, kind in enumerate(kinds)], SENDERS)
    trouble = _bring_trouble(stage, chance)
    stage.traffic.join()
    stage.cluster.until_ready()
    calm = time.monotonic()
    assert trouble.failures == []
    figures = _account_for_all(stage, expected, told, letters)
    _print(stage, trouble, figures, calm - began, time.monotonic() - calm)


def _send_one_of_each_in_peace(stage: Stage) -> None:
    """What becomes of each kind, and who is told, when nothing breaks: so it must be later too."""
    stage.traffic.start([(f"P{number:03}", kind) for number, kind in enumerate([*KINDS, DICOM])], SENDERS)
    stage.traffic.join()
    stage.settle(120)


def _bring_trouble(stage: Stage, chance: random.Random) -> Trouble:
    trouble = Trouble(stage.cluster, stage.engines, stage.pacs, chance)
    away, hang = (30, 45) if FULL else (10, 15)
    troubles = [
        trouble.events_restart,
        trouble.documents_restart,
        partial(trouble.objects_away, away),
        partial(trouble.pacs_hangs, hang),
    ]
    if FULL:
        troubles += [trouble.events_killed, trouble.documents_restart, trouble.rolls]
        # longer than a group's session, than a lease, than a request may take
        troubles += [
            partial(trouble.hangs, name, s) for name, s in (("kafka", 30), ("mongo", 75), ("s3", 25))
        ]
    chance.shuffle(troubles)
    trouble.bring(troubles, KILLS, lambda: not stage.traffic.done)
    return trouble


def _account_for_all(
    stage: Stage, expected: dict[str, Any], told: dict[str, set[str]], letters: set[str]
) -> dict[str, int]:
    promised = stage.traffic.promised
    stage.settle(SETTLE_S)
    with stage.cluster.api() as api:
        wanted = {one.recipient: told[one.parcel.kind] for one in promised.sent}
        accounts.wait("who is told", lambda: accounts.told_otherwise(api, wanted), 120)
        assert accounts.wrong_mail(api, stage.catcher) == []
        for one in promised.sent:
            assert accounts.tally(api, one.submission) == expected[one.parcel.kind], one
        assert {letter["id"] for letter in api.get("/api/dead-letters")} == letters
        mails = stage.catcher.counts()
        interrupted = sum(notice["state"] == "failed" for notice in accounts.notices(api))
        return {
            "files": sum((accounts.tally(api, one.submission) or {})["sent"] for one in promised.sent),
            "notices": len(mails),
            "of them interrupted twice": interrupted,
            "notices that came twice": sum(count == 2 for count in mails.values()),
        }


def _print(stage: Stage, trouble: Trouble, figures: dict[str, int], lasted: float, settled: float) -> None:
    promised, processes = stage.traffic.promised, stage.cluster.processes
    killed: dict[str, int] = {}
    for process in processes:
        killed[process.service] = killed.get(process.service, 0) + process.killed
    ended = stage.ended_by_themselves
    print(
        f"{stage.traffic.total} submissions in {lasted:.0f} s of trouble, settled {settled:.0f} s after it\n"
        f"killed: {sum(killed.values())} ({', '.join(f'{name} {n}' for name, n in killed.items())}); "
        f"ended by themselves: {', '.join(ended) or 'none'}\n"
        f"engines: {'; '.join(f'{what} ×{n}' for what, n in trouble.had.items())}; "
        f"slowest drain {trouble.slowest_drain:.1f} s\n"
        f"{len(promised.studies)} studies with {sum(n for _, n in promised.studies.values())} images, each "
        f"in the PACS once; {len(promised.announced)} patients announced, all known\n"
        f"{', '.join(f'{n} {what}' for what, n in figures.items())}; dead letters: the {PLANTED} planted"
    )
    assert ended == []
