"""What goes wrong: processes are killed at random, engines restart or stay away, the PACS hangs."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from tests.e2e.reliability.processes import Cluster, Process, unready
from tests.neighbours.engines import OwnEngines

_STARTING_AT_MOST = 4
"""No process is killed while more are starting: on a slow machine nothing would ever get to work."""


class Trouble:
    """Kills one process after the other, and meanwhile does the engines' troubles one after the other."""

    def __init__(self, cluster: Cluster, engines: OwnEngines, pacs: Any, chance: random.Random) -> None:
        self._cluster = cluster
        self._engines = engines
        self._pacs = pacs
        self._chance = chance
        self.had: Counter[str] = Counter()
        self.slowest_drain = 0.0
        self.failures: list[str] = []

    def bring(self, troubles: Sequence[Callable[[], None]], kills: int, busy: Callable[[], bool]) -> None:
        """Returns when all troubles were had, each service was killed, at least `kills` were done, and nobody
        is busy any more. Everything runs again then, or is about to."""
        engine_troubles = threading.Thread(target=self._one_after_the_other, args=(troubles,), name="trouble")
        engine_troubles.start()
        while engine_troubles.is_alive() or busy() or self._killed() < kills or self._spared():
            time.sleep(self._chance.uniform(0.5, 5))
            if len(unready(self._cluster.processes)) > _STARTING_AT_MOST:
                continue
            among = [process for process in self._cluster.processes if process.process is not None]
            if self._killed() >= kills and not busy():
                among = [process for process in among if process.service in self._spared()]
            if among:
                self._cluster.kill(self._chance.choice(among))
        engine_troubles.join()

    def events_restart(self) -> None:
        self._stopped("kafka", 2)

    def events_killed(self) -> None:
        self._stopped("kafka", 0, kill=True)

    def documents_restart(self) -> None:
        self._stopped("mongo", 3)

    def objects_away(self, seconds: float) -> None:
        self._stopped("s3", seconds, kill=True)

    def hangs(self, engine: str, seconds: float) -> None:
        self.had[f"{engine} hung for {seconds:g} s"] += 1
        with self._engines.hanging(engine):
            time.sleep(seconds)

    def pacs_hangs(self, seconds: float) -> None:
        self.had[f"PACS hung for {seconds:g} s"] += 1
        self._pacs.pause()
        time.sleep(seconds)
        self._pacs.go_on()

    def rolls(self) -> None:
        """Every process is ended in order and replaced, as in an upgrade."""
        for process in list(self._cluster.processes):
            self._drain(process)

    def _drain(self, process: Process) -> None:
        self.had["drained"] += 1
        self.slowest_drain = max(self.slowest_drain, self._cluster.drain(process))

    def _stopped(self, engine: str, seconds: float, *, kill: bool = False) -> None:
        self.had[f"{engine} {'killed' if kill else 'restarted'}, away {seconds:g} s"] += 1
        self._engines.stop(engine, kill=kill)
        time.sleep(seconds)
        self._engines.start(engine)

    def _one_after_the_other(self, troubles: Sequence[Callable[[], None]]) -> None:
        for trouble in troubles:
            time.sleep(self._chance.uniform(2, 6))
            try:
                trouble()
            except AssertionError as error:
                self.failures.append(str(error))

    def _killed(self) -> int:
        return sum(process.killed for process in self._cluster.processes)

    def _spared(self) -> set[str]:
        """Services none of whose processes was killed yet."""
        killed: Counter[str] = Counter()
        for process in self._cluster.processes:
            killed[process.service] += process.killed
        return {service for service, times in killed.items() if not times}
