"""What a measurement writes down, and how a table of them looks."""

import json
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

RESULTS = Path(__file__).parent / "results"


@dataclass
class Result:
    """`ours` and `peer` are medians over `runs`; `ratio` is ours / peer; targets are on the ratio
    when there is a peer, on `ours` otherwise. `notes` name what was measured beside."""

    name: str
    unit: str
    better: Literal["higher", "lower"]
    target: float | None = None
    runs: list[dict[str, float]] = field(default_factory=list)
    ours: float | None = None
    peer: float | None = None
    ratio: float | None = None
    notes: dict[str, object] = field(default_factory=dict)

    def settle(self) -> "Result":
        self.ours = statistics.median(run["ours"] for run in self.runs)
        peers = [run["peer"] for run in self.runs if "peer" in run]
        if peers:
            self.peer = statistics.median(peers)
            self.ratio = round(self.ours / self.peer, 3) if self.peer else None
        return self

    @property
    def met(self) -> bool | None:
        value = self.ratio if self.peer is not None else self.ours
        if self.target is None or value is None:
            return None
        return value >= self.target if self.better == "higher" else value <= self.target

    def write(self) -> None:
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{self.name}.json"
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")


def table(results: list[Result]) -> str:
    rows = [("name", "ours", "peer", "ratio", "target", "met", "unit")]
    for result in results:
        met = {True: "yes", False: "NO", None: "-"}[result.met]
        rows.append(
            (
                result.name,
                _number(result.ours),
                _number(result.peer),
                _number(result.ratio),
                ("" if result.target is None else (">= " if result.better == "higher" else "<= "))
                + _number(result.target),
                met,
                result.unit,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.3g}" if abs(value) < 10 else f"{value:,.0f}"
