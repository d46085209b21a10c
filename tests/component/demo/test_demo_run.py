"""The demo as a whole: however its journey goes, who waits for the end gets it."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from anteroom.demo import run as demo
from anteroom.demo.journey import Journey
from anteroom.settings import Settings


@dataclass
class NoPacs:
    title: str = "none"
    look: str = ""
    ae_title: str = "NONE"
    port: int = 104

    def start(self) -> None: ...

    def stop(self) -> None: ...


class Broken(NoPacs):
    def start(self) -> None:
        raise RuntimeError("the demo PACS did not start")


def settings() -> Settings:
    return Settings.model_validate(
        {"http": {"port": 0}, "upload": {"dicom_port": 0}, "match": {"hl7_port": 0}}
    )


async def test_a_journey_that_meets_a_defect_ends_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def travel(_: Journey) -> bool:
        raise KeyError("state")

    monkeypatch.setattr(demo, "choose", lambda *_: NoPacs())
    monkeypatch.setattr(Journey, "travel", travel)
    with pytest.raises(KeyError):
        await asyncio.wait_for(demo._run(settings(), tmp_path, True, tmp_path / "kept"), 60)
    assert (tmp_path / "kept" / "anteroom.db").exists()


async def test_a_pacs_that_does_not_start_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "choose", lambda *_: Broken())
    assert await demo._run(settings(), tmp_path, True, tmp_path / "data") == 1
    assert "did not start" in capsys.readouterr().out
