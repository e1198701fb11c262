"""`define_schema`: from a file to a tenant's extension, and back to a file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioning.models import AuditRecord

from ..cast import House
from .conftest import Run

URN = "urn:example:badge:2.0:User"
DOCUMENT = {
    "id": URN,
    "name": "Badge",
    "attributes": [
        {"name": "number", "uniqueness": "server"},
        {"name": "door", "type": "complex", "subAttributes": [{"name": "value"}]},
    ],
}
Write = Callable[[Any], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def one(document: Any) -> str:
        file = tmp_path / "schema.json"
        file.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
        return str(file)

    return one


def test_a_file_becomes_an_extension_and_a_file_again(run: Run, acme: House, write: Write) -> None:
    made = run("define_schema", "acme", write(DOCUMENT), "--required")
    assert made == {
        "tenant": "acme",
        "urn": URN,
        "name": "Badge",
        "resource": "User",
        "required": True,
        "attributes": ["number", "door"],
    }
    exported = run("define_schema", "acme", "--export", URN.upper())
    run("define_schema", "acme", write(exported))
    assert run("define_schema", "acme", "--export", URN) == exported
    assert run("define_schema", "acme")["extensions"][0]["required"] is False
    record = AuditRecord.objects.filter(reason="schema:changed").get()
    assert (record.actor_kind, record.changes[0]["attributes"]) == ("command", ["required"])


def test_an_extension_stays_with_its_resources(run: Run, fail: Run, acme: House, write: Write) -> None:
    document = DOCUMENT | {"attributes": DOCUMENT["attributes"][1:]}
    run("define_schema", "acme", write(document), "--resource", "Group")
    assert run("define_schema", "acme", write(document))["resource"] == "Group"
    assert "stays with" in fail("define_schema", "acme", write(document), "--resource", "User")


def test_a_removed_extension_is_gone(
    run: Run, fail: Run, read: Callable[..., str], acme: House, write: Write
) -> None:
    run("define_schema", "acme", write(DOCUMENT))
    assert URN in read("define_schema", "acme")
    assert json.loads(read("define_schema", "acme", "--export", URN))["id"] == URN
    assert run("define_schema", "acme", "--remove", URN, "--reason", "Sold") == {
        "removed": URN,
        "tenant": "acme",
    }
    assert "no schema extension" in read("define_schema", "acme")
    assert "has no schema extension" in fail("define_schema", "acme", "--remove", URN)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        pytest.param("{", "not JSON", id="no JSON"),
        pytest.param("[]", "JSON object", id="a list"),
        pytest.param({"id": URN}, "attributes", id="no attributes"),
        pytest.param(DOCUMENT | {"id": "badge"}, "URN", id="no URN"),
        pytest.param(DOCUMENT | {"name": "\ud800"}, "no text", id="a name that is no text"),
        pytest.param(DOCUMENT | {"description": "\x00"}, "no text", id="a description that is no text"),
    ],
)
def test_what_cannot_be_defined_is_said(
    fail: Run, acme: House, write: Write, document: Any, says: str
) -> None:
    assert says in fail("define_schema", "acme", write(document))


def test_what_cannot_be_asked_is_said(fail: Run, acme: House, globex: House, write: Write, run: Run) -> None:
    run("define_schema", "globex", write(DOCUMENT))
    assert "no tenant" in fail("define_schema", "nobody")
    assert "cannot be read" in fail("define_schema", "acme", "/nowhere.json")
    assert "one of them" in fail("define_schema", "acme", write(DOCUMENT), "--remove", URN)
    assert "has no schema extension" in fail("define_schema", "acme", "--export", URN)
