"""The commands about listings: the credential comes from a file or stdin and is printed nowhere."""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from identity_hub.core.sealing import unseal
from provisioning.models import AuditRecord, OutboxMessage, Roster, RosterSource
from tests.conversations.played import LISTINGS, playing

from ..cast import House
from .conftest import Run

SECRET = "s3cret-that-nobody-sees"


def steps_of(name: str) -> list[dict[str, Any]]:
    steps = next(one["steps"] for one in LISTINGS if one["id"] == name)
    return [{**step, "headers": {}, "query": {}} for step in steps]


@pytest.fixture
def source(acme: House, run: Run, tmp_path: Path) -> Callable[..., Any]:
    """Sets one, with the credential in a file."""
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")

    def call(base: str, *more: str) -> Any:
        return run(
            "roster_source",
            *("--connection", "Main", "--kind", "scim", "--base-address", base, "--secret-file", str(file)),
            *more,
        )

    return call


def test_a_source_is_set_and_shown(source: Callable[..., Any], run: Run) -> None:
    said = source(
        "https://idp.example/scim/v2", "--schedule", "--reason", "Leavers", "--map", "user_name=userName"
    )
    assert said == run("roster_source", "--connection", "Main")
    assert (said["kind"], said["scheduled"], said["mapping"]) == ("scim", True, {"user_name": "userName"})
    assert SECRET not in str(said)
    row = RosterSource.objects.get()
    assert unseal(row.sealed, for_row=str(row.pk)) == SECRET
    record = AuditRecord.objects.get(reason="roster:source-set")
    assert record.actor_kind == "command"


def test_the_credential_comes_by_stdin_too(
    source: Callable[..., Any], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    source("https://idp.example")
    monkeypatch.setattr(sys, "stdin", io.StringIO("another\n"))
    run("roster_source", "--connection", "Main", "--secret-stdin")
    row = RosterSource.objects.get()
    assert unseal(row.sealed, for_row=str(row.pk)) == "another"


def test_the_first_page_is_tried(source: Callable[..., Any], read: Run) -> None:
    with playing(steps_of("scim-index")[:2] * 2) as played:
        tried = source(f"{played.base}/scim/v2", "--test")["first_page"]
        text = read("roster_source", "--connection", "Main", "--test")
        played.finish()
    assert (tried["on_the_page"], tried["in_all"], tried["faults"]) == (2, 5, [])
    assert tried["people"][0][:3] == ["s-1", "person1@corp.example", True]
    assert "person2@corp.example" in text
    assert not Roster.objects.exists()


def test_a_roster_is_pulled_here(source: Callable[..., Any], run: Run) -> None:
    with playing(steps_of("scim-index")) as played:
        source(f"{played.base}/scim/v2")
        said = run("pull_roster", "--connection", "Main", "--wait")
        played.finish()
    assert (said["status"], said["rows"], said["expected"], said["code"]) == ("complete", 5, 5, "")
    assert Roster.objects.get().requested_by.startswith("command:")


def test_a_refused_roster_is_no_success(
    source: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with playing(steps_of("scim-short")) as played:
        source(f"{played.base}/scim/v2")
        with pytest.raises(SystemExit) as ended:
            call_command("pull_roster", "--connection", "Main", "--wait", "--reason", "Audit")
    assert ended.value.code == 3
    assert "promises 6 people and lists 3" in capsys.readouterr().out


def test_a_worker_pulls_otherwise(source: Callable[..., Any], run: Run) -> None:
    source("https://idp.example")
    assert run("pull_roster", "--connection", "Main")["ordered"] is True
    assert OutboxMessage.objects.filter(topic="roster.pull").count() == 1


def test_a_source_is_removed(source: Callable[..., Any], run: Run) -> None:
    source("https://idp.example")
    assert run("roster_source", "--connection", "Main", "--remove", "--reason", "No more")["removed"] is True
    assert not RosterSource.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["roster_source", "--connection", "Main"], "no roster source", id="nothing to show"),
        pytest.param(
            ["roster_source", "--connection", "Main", "--remove"], "no roster source", id="none to remove"
        ),
        pytest.param(["pull_roster", "--connection", "Main"], "no roster source", id="nothing to pull"),
        pytest.param(
            ["roster_source", "--connection", "Main", "--kind", "scim", "--secret-file", "/nowhere"],
            "cannot be read",
            id="no such file",
        ),
        pytest.param(
            ["roster_source", "--connection", "Main", "--kind", "scim", "--map", "user_name"],
            "attribute=column",
            id="a mapping without a column",
        ),
        pytest.param(
            [
                "roster_source",
                "--connection",
                "Main",
                "--kind",
                "scim",
                "--base-address",
                "https://idp.example",
            ],
            "give the credential",
            id="no credential",
        ),
    ],
)
def test_what_cannot_be_is_said(acme: House, fail: Run, arguments: list[str], says: str) -> None:
    assert says in fail(*arguments)


def test_credentials_are_sealed_anew(source: Callable[..., Any], run: Run, settings: Any) -> None:
    settings.CREDENTIAL_KEYS = ["o" * 32]
    source("https://idp.example")
    settings.CREDENTIAL_KEYS = ["n" * 32, "o" * 32]
    assert run("reseal_credentials") == {"sealed": 1, "unopenable": []}
    settings.CREDENTIAL_KEYS = ["n" * 32]
    assert run("reseal_credentials") == {"sealed": 1, "unopenable": []}
