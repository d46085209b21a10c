"""What the command line shows, and how fast it answers."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from anteroom.cli import _COMMANDS, main, report
from anteroom.cli.progress import Lines
from anteroom.cli.terminal import day, local, person, plain, size
from anteroom.client.files import LeftOut


def test_help_loads_none_of_the_heavy_parts():
    code = (
        "import sys\n"
        "from anteroom.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'rich', 'httpx', 'fastapi', 'pydantic', 'pydicom', 'services.portal'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "dead-letters" in done.stdout


@pytest.mark.parametrize("name", _COMMANDS)
def test_every_command_has_its_help(name: str):
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"Usage: main {name}")


@pytest.mark.parametrize("name", ["ä", "a/b", "²"])
def test_a_strange_study_id_gets_a_sentence(name: str):
    result = CliRunner().invoke(main, ["show", name, "--token", "x", "--server", "http://127.0.0.1:1"])
    assert result.exit_code == 1
    assert "Name a study by its id" in result.output


@pytest.mark.parametrize("letter", ["ä", "a b\n", "../x"])
def test_a_strange_dead_letter_is_asked_for_as_it_is(letter: str):
    result = CliRunner().invoke(main, ["replay", letter, "--token", "x", "--server", "http://127.0.0.1:1"])
    assert result.exit_code == 1
    assert "can't be reached" in result.output


def test_nothing_from_outside_steers_the_terminal():
    assert plain("a\x1b[2Jb\nc\u202ed") == "a\ufffd[2Jb\ufffdc\ufffdd"
    assert person({"name": "M\x1bü^Jörg=x", "patient_id": "4\r7"}) == "M\ufffdü, Jörg (4\ufffd7)"
    assert person({"name": "", "patient_id": ""}) == "(no name)"
    assert person({"name": "Solo", "patient_id": "1"}) == "Solo (1)"


def test_sizes_days_and_times():
    assert [size(n) for n in (0, 999, 1000, 5_300_000_000, 2e12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "5.3 GB",
        "2.0 TB",
    ]
    assert (day("20240501"), day("2024"), day("")) == ("2024-05-01", "2024", "")
    assert local("") == ""
    assert len(local("2024-05-01T12:00:00.000000Z")) == 19


def outcome(**fields):
    sums = dict.fromkeys(report.STATES, 0)
    return {"submission": "s", "state": "validated", "sent": 0, **sums, **fields}


def file(state: str, n: int, code: str = "", text: str = ""):
    return {
        "file": str(n),
        "path": f"f{n}",
        "state": state,
        "code": code,
        "text": text,
        "kind": "",
        "study": "",
    }


def test_the_report_of_a_clean_sending(capsys: pytest.CaptureFixture[str]):
    made = report.assemble(
        outcome(sent=2, stored=2, studies=["a" * 32]), [file("stored", 0), file("stored", 1)], []
    )
    report.show(made)
    assert report.exit_status(made) == 0
    assert capsys.readouterr().out.splitlines() == ["sent 2 = 2 stored", f"study {'a' * 12}"]


@pytest.mark.parametrize("state", ["refused", "quarantined", "waiting"])
def test_any_problem_is_status_three(state: str):
    made = report.assemble(outcome(sent=1, **{state: 1}), [file(state, 0, "code", "Why.")], [])
    assert report.exit_status(made) == 3


def test_problems_come_first_and_alike_ones_are_summed(capsys: pytest.CaptureFixture[str]):
    files = [file("stored", n) for n in range(50)]
    files += [file("refused", 100 + n, "junk", "Junk.") for n in range(70)]
    files += [file("quarantined", 999, "infected", "Infected.")]
    left = [LeftOut("gone", "unreadable", "It does not exist (any more).")]
    discs = [{"missing": ["IMAGES/A\x1b1"], "missing_count": 1}]
    findings = [
        {"severity": "error", "text": "Junk.", "code": "junk"},
        {"severity": "warning", "text": "Two patients.", "code": "mixed"},
    ]
    sums = outcome(sent=121, stored=50, refused=70, quarantined=1, findings=findings, discs=discs)
    made = report.assemble(sums, files, left)
    assert report.exit_status(made) == 3
    assert (made["not_sent"], len(made["files"])) == (1, 122)
    report.show(made)
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert "Infected." in lines[1]
    assert out.count("Junk.") == 20
    assert "50 more files refused" in out
    assert "warning: Two patients." in out
    assert "missing: IMAGES/A\ufffd1" in out
    assert "sent 121 = 50 stored + 70 refused + 1 quarantined" in out
    assert "1 more could not be read here" in out


def test_plain_lines_repeat_no_reason(capsys: pytest.CaptureFixture[str]):
    with Lines(10, 1) as shown:
        for _ in range(5):
            shown.waiting("It is away.")
        shown.sent(10)
        shown.files_done(1)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("away") == 1
