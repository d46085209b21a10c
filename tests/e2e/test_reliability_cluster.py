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
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from anteroom.demo.orthanc import Modality
from tests.e2e.reliability import accounts
from tests.e2e.reliability.catcher import Catcher
from tests.e2e.reliability.parcels import KINDS
from tests.e2e.reliability.processes import Cluster
from tests.e2e.reliability.traffic import DICOM, Traffic
from tests.e2e.reliability.trouble import Trouble
from tests.neighbours.engines import OwnEngines
from tests.neighbours.nginx import fronting
from tests.neighbours.pacs import StartOrthanc

SUBMISSIONS = int(os.environ.get("ANTEROOM_RELIABILITY", "20"))
FULL = SUBMISSIONS >= 100
KILLS = max(14, SUBMISSIONS // 2)
SENDERS = 4
PLANTED = 2
SETTLE_S = 300 + 3 * SUBMISSIONS

pytestmark = pytest.mark.slow

_WEIGHTS = {"ct": 6, "mr": 3, "zipped": 2, "documents": 2, "hostile": 3, DICOM: 4}


def _config(pacs_port: int, mail_port: int) -> str:
    return f"""
[site]
default_issuer = "HOSPITAL"
[upload]
quiet_s = 3
idle_s = 0.5
[validate.archives]
free_bytes = 1048576
[notify]
per_hour = 100000
combine_s = 1
[notify.email]
host = "127.0.0.1"
port = {mail_port}
tls = "none"
sender = "anteroom@hospital.example"
[[destinations]]
id = "pacs"
host = "127.0.0.1"
port = {pacs_port}
called_ae = "ORTHANC"
calling_ae = "ANTEROOM"
commitment_timeout_s = 10
[[accounts]]
id = "clinic"
name = "Clinic"
roles = ["send"]
email = "office@clinic.example"
policy = "forward-certain"
destinations = ["pacs"]
[[accounts]]
id = "surgery"
name = "Surgery"
roles = ["send"]
policy = "review"
destinations = ["pacs"]
[[accounts]]
id = "modality"
name = "Modality"
roles = ["send"]
ae_titles = ["MODALITY"]
addresses = ["127.0.0.1"]
policy = "forward-certain"
destinations = ["pacs"]
"""


@dataclass
class Stage:
    cluster: Cluster
    engines: OwnEngines
    pacs: Any
    catcher: Catcher
    traffic: Traffic


@pytest.fixture
def stage(tmp_path: Path, start_orthanc: StartOrthanc) -> Iterator[Stage]:
    engines, catcher = OwnEngines(tmp_path / "engines"), Catcher()
    cluster: Cluster | None = None
    traffic: Traffic | None = None
    try:
        engines.start()
        catcher.start()
        pacs = start_orthanc()
        cluster = Cluster(tmp_path / "cluster", engines, _config(pacs.dicom_port, catcher.port))
        pacs.register(Modality("ANTEROOM", "127.0.0.1", cluster.dicom_port))
        (tmp_path / "front").mkdir()
        with fronting(cluster.ports, tmp_path / "front") as front:
            cluster.url = front.url
            cluster.start()
            with cluster.api() as api:
                tokens = [
                    str(api.post("/api/tokens", {"account": name})["secret"])
                    for name in ("clinic", "surgery")
                ]
            traffic = Traffic(cluster, tmp_path / "sent", tokens)
            yield Stage(cluster, engines, pacs, catcher, traffic)
            traffic.stop()
    finally:
        if traffic is not None:
            traffic.stop()
        if cluster is not None:
            cluster.stop()
        catcher.stop()
        engines.close()


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
    assert stage.traffic.promised.problems == []
    assert trouble.failures == []
    figures = _account_for_all(stage, expected, told, letters)
    _print(stage, trouble, figures, calm - began, time.monotonic() - calm)


def _send_one_of_each_in_peace(stage: Stage) -> None:
    """What becomes of each kind, and who is told, when nothing breaks: so it must be later too."""
    stage.traffic.start([(f"P{number:03}", kind) for number, kind in enumerate([*KINDS, DICOM])], SENDERS)
    stage.traffic.join()
    promised = stage.traffic.promised
    assert promised.problems == []
    with stage.cluster.api() as api:
        accounts.wait("the first submissions", lambda: accounts.unvalidated(api, promised.sent), 120)
        accounts.wait("the first studies", lambda: accounts.not_in_pacs(api, promised), 120)
        accounts.wait("the first events", lambda: accounts.lag(api), 60)
        time.sleep(2)  # notices are gathered for a second
        accounts.wait("the first notices", lambda: accounts.undelivered(api), 60)


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
    chance.shuffle(troubles)
    trouble.bring(troubles, KILLS, lambda: not stage.traffic.done)
    return trouble


def _account_for_all(
    stage: Stage, expected: dict[str, Any], told: dict[str, set[str]], letters: set[str]
) -> dict[str, int]:
    promised = stage.traffic.promised
    with stage.cluster.api() as api:
        accounts.wait("files", lambda: accounts.unvalidated(api, promised.sent), SETTLE_S)
        for one in promised.sent:
            assert accounts.tally(api, one.submission) == expected[one.parcel.kind], one
        accounts.wait("studies", lambda: accounts.not_in_pacs(api, promised), SETTLE_S)
        accounts.wait("events", lambda: accounts.lag(api), 120)
        time.sleep(2)
        accounts.wait("notices", lambda: accounts.undelivered(api), 180)
        assert accounts.wrong_in_pacs(stage.pacs, promised) == []
        assert accounts.wrong_mail(api, stage.catcher) == []
        heard = accounts.kinds_by_recipient(api)
        for one in promised.sent:
            assert heard.get(one.recipient, set()) == told[one.parcel.kind], one
        assert accounts.unknown_patients(api, promised) == []
        assert {letter["id"] for letter in api.get("/api/dead-letters")} == letters
        mails = stage.catcher.counts()
        return {
            "files": sum((accounts.tally(api, one.submission) or {})["sent"] for one in promised.sent),
            "notices": len(mails),
            "notices that came twice": sum(count == 2 for count in mails.values()),
        }


def _print(stage: Stage, trouble: Trouble, figures: dict[str, int], lasted: float, settled: float) -> None:
    promised, processes = stage.traffic.promised, stage.cluster.processes
    killed: dict[str, int] = {}
    for process in processes:
        killed[process.service] = killed.get(process.service, 0) + process.killed
    ended = [f"{one.service} ({code})" for one in processes for code in one.ended_itself]
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
