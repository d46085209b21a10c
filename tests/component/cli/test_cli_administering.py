"""Groups and retention by the command line, against a whole server."""

from collections.abc import Iterator

import pytest

from tests.component.cli.server import Server, run


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("server"))
    made.start()
    yield made
    made.stop()


def test_groups_and_their_members(server: Server):
    made = run(server.group("group", "add", "Clerks", "--role", "approve", "--department", "File room"))
    assert made.status == 0, made.err
    assert run(server.group("account", "add", "Ada", "--group", "clerks")).status == 0
    wrong = run(server.group("account", "add", "Bob", "--group", "nobody"))
    assert (wrong.status, "anteroom group ls" in wrong.err) == (2, True)
    assert run(server.group("group", "change", "Clerks", "--role", "view-all")).status == 0
    [group] = run(server.group("group", "ls", "--json")).json
    assert (group["roles"], group["departments"], len(group["members"])) == (["view-all"], ["File room"], 1)
    assert "Ada" in run(server.group("group", "ls")).out
    assert "Take them out first" in run(server.group("group", "remove", "Clerks")).err


def test_retention_is_set_and_shown(server: Server):
    assert "never" in run(server.group("retention", "show")).out
    dry = run(server.group("retention", "set", "--declined", "30", "--dry-run"))
    assert "Would free now: 0 B, 0 studies" in dry.out, dry.err
    assert run(server.group("retention", "show", "--json")).json["declined_days"] is None
    saved = run(server.group("retention", "set", "--declined", "30", "--in-pacs", "90", "--notice", "24"))
    assert saved.status == 0, saved.err
    run(server.group("retention", "set", "--declined", "never"))
    shown = run(server.group("retention", "show", "--json")).json
    assert (shown["declined_days"], shown["in_pacs_days"], shown["undo_hours"]) == (None, 90, 24)
    run(server.group("retention", "set", "--documents", "400", "--quarantine", "20"))
    shown = run(server.group("retention", "show")).out
    assert "400 days" in shown
    shown = run(server.group("retention", "show", "--json")).json
    assert (shown["in_pacs_days"], shown["documents_days"], shown["quarantine_days"]) == (90, 400, 20)
    assert run(server.group("retention", "set", "--in-pacs", "soon")).status == 2
    unknown = run(server.group("retention", "keep", "nothing"))
    assert "There is no such study" in unknown.err
    assert "no such study" in run(server.group("retention", "release", "nothing")).err


def test_the_audit_trail_is_checked(server: Server):
    run(server.group("account", "add", "Watched"))
    checked = run(server.group("audit", "verify"))
    assert "none changed" in checked.out, checked.err
    end = checked.out.rsplit("Its end: ", 1)[1].strip()
    run(server.group("account", "add", "Watched too"))
    assert run(server.group("audit", "verify", "--since", end)).status == 0
    number, _, mark = end.partition(":")
    anew = run(server.group("audit", "verify", "--since", f"{number}:{mark[::-1]}"))
    assert (anew.status, "written anew" in anew.err) == (1, True)
    cut = run(server.group("audit", "verify", "--since", f"{int(number) + 900}:{mark}"))
    assert (cut.status, "cut off" in cut.err) == (1, True)


def test_a_replay_is_entered_in_the_trail(server: Server):
    assert run(server.command("replay", "0" * 32)).status == 1
    trail = run(server.group("audit", "verify"))
    assert trail.status == 0
