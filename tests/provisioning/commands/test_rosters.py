"""`import_roster` and `list_rosters`, as a script and a person use them."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from provisioning.models import Roster

from ..cast import House
from .conftest import Run

CSV = "id,userName,Position\ne1,ada@acme.example,Engineer\ne2,bob@acme.example,\n"


@pytest.fixture
def listing(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text(CSV)
    return path


def refused(*arguments: str) -> Any:
    said = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command(*arguments, "--reason", "As agreed", "--json", stdout=said, stderr=StringIO())
    assert ended.value.code == 3
    return json.loads(said.getvalue())["roster"]


def test_a_file_is_loaded_and_listed(acme: House, globex: House, listing: Path, run: Run, read: Run) -> None:
    roster = run("import_roster", str(listing), "--connection", str(acme.connection.pk), "--expected", "2")
    assert {name: roster["roster"][name] for name in ("status", "rows", "expected", "mapping", "source")} == {
        "status": "complete",
        "rows": 2,
        "expected": 2,
        "mapping": {"external_id": "id", "user_name": "userName", "title": "Position"},
        "source": "csv",
    }
    assert [one["name"] for one in run("list_rosters", "--tenant", "acme")["rosters"]] == ["people.csv"]
    assert run("list_rosters", "--tenant", "globex")["rosters"] == []
    assert "complete" in read("list_rosters", "--tenant", "acme", "--connection", "Main")
    assert "none" in read("list_rosters", "--tenant", "acme", "--status", "refused")


def test_a_mapping_is_guessed_but_for_what_is_said(acme: House, listing: Path, run: Run) -> None:
    arguments = ("import_roster", str(listing), "--connection", "Main", "--preview")
    said = run(
        *arguments, "--map", "Position=department", "--leave-out", "title", "--leave-out", "external_id"
    )
    assert said["preview"]["mapping"] == {"user_name": "userName", "department": "Position"}
    assert said["preview"]["unused"] == ["id"]
    assert said["preview"]["rows"][0] == {
        "line": 2,
        "user_name": "ada@acme.example",
        "active": True,
        "department": "Engineer",
    }
    assert not Roster.objects.exists()


def test_a_person_reads_a_preview_and_an_outcome(
    acme: House, listing: Path, read: Run, tmp_path: Path
) -> None:
    shown = read("import_roster", str(listing), "--connection", "Main", "--preview")
    assert "ada@acme.example" in shown
    assert "Position" in shown
    broken = tmp_path / "broken.csv"
    broken.write_text(CSV + "e3,cyd@acme.example\n")
    said = StringIO()
    with pytest.raises(SystemExit):
        call_command(
            "import_roster",
            str(broken),
            "--connection",
            "Main",
            "--reason",
            "As agreed",
            stdout=said,
            stderr=StringIO(),
        )
    assert "roster:incomplete" in said.getvalue()
    assert "4     " in said.getvalue()
    assert "cyd" not in said.getvalue()


def test_a_refused_roster_is_no_success(acme: House, listing: Path, run: Run, tmp_path: Path) -> None:
    main = ("--connection", "Main")
    assert refused("import_roster", str(listing), *main, "--expected", "3")["code"] == "roster:truncated"
    sheet = tmp_path / "people.xlsx"
    sheet.write_bytes(b"PK\x03\x04")
    assert refused("import_roster", str(sheet), *main)["code"] == "roster:unreadable"
    many = tmp_path / "many.jsonl"
    many.write_text("".join(f'{{"userName": "p{n}"}}\n' for n in range(20)))
    assert run("import_roster", str(many), *main, "--as-of", "1h")["roster"]["status"] == "complete"
    assert refused("import_roster", str(listing), *main)["code"] == "roster:shrunk"
    accepted = run("import_roster", str(listing), *main, "--accept-shrunk", "The plant was sold.")
    assert accepted["roster"]["status"] == "complete"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["--map", "title"], "COLUMN=ATTRIBUTE", id="half a mapping"),
        pytest.param(["--map", "Position=shoe_size"], "shoe_size", id="an attribute of no hub"),
        pytest.param(["--map", "Nowhere=title"], "Nowhere", id="a column that is not there"),
        pytest.param(["--as-of", "tomorrow"], "--as-of", id="no moment"),
        pytest.param(["--as-of", "2999-01-01"], "future", id="a moment that is to come"),
        pytest.param(["--expected", "0"], "--expected", id="no rows"),
        pytest.param(["--delimiter", ";;"], "one character", id="two separators"),
    ],
)
def test_what_cannot_be_is_said(
    acme: House, listing: Path, fail: Run, arguments: list[str], says: str
) -> None:
    assert says in fail("import_roster", str(listing), "--connection", "Main", *arguments)
    assert not Roster.objects.exists()


def test_a_file_that_is_not_there(acme: House, fail: Run) -> None:
    assert "no file" in fail("import_roster", "/nowhere", "--connection", "Main")
