"""What a person shows, said by an operator."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from identity_hub.core.clock import now
from provisioning.models import Identity, Override

from ..cast import House, push, user

pytestmark = pytest.mark.django_db

Run = Callable[..., Any]
SOON = f"{now() + timedelta(days=30):%Y-%m-%d}"


@pytest.fixture(autouse=True)
def ada(acme: House) -> None:
    push(acme, user("ada@acme.example", "e1", title="Clerk"))


def test_it_is_foreseen_set_told_and_ended(run: Run) -> None:
    said = ("ada@acme.example", "title", "Head of Sales", "--until", SOON)
    foreseen = run("override_attribute", *said, "--dry-run")
    assert foreseen["changes"] == ["SetOverride", "UpdateIdentity"]
    assert not Override.objects.exists()
    done = run("override_attribute", *said, "--reason", "The directory is late")
    assert (done["reason"], done["until"][:10]) == ("identity:overridden", SOON)
    assert Identity.objects.get().title == "Head of Sales"
    (shown,) = run("show_identity", "ada@acme.example")["identities"]
    (told,) = shown["overrides"]
    assert (told["attribute"], told["value"], told["reason"]) == (
        "title",
        "Head of Sales",
        "The directory is late",
    )
    over = ("ada@acme.example", "title", "--end")
    assert run("override_attribute", *over, "--dry-run")["changes"] == ["EndOverride", "UpdateIdentity"]
    assert run("override_attribute", *over, "--reason", "Mended")["reason"] == "identity:override-ended"
    assert Identity.objects.get().title == "Clerk"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["title", "Head", "--reason", "x"], "until when", id="no end"),
        pytest.param(["title", "Head", "--until", SOON, "--reason", ""], "say why", id="no reason"),
        pytest.param(["title", "--until", SOON, "--reason", "x"], "what is to be shown", id="no value"),
        pytest.param(["title", "Head", "--until", "soon", "--reason", "x"], "A day", id="no day"),
        pytest.param(["title", "Head", "--until", "2000-01-01", "--reason", "x"], "past", id="a day gone by"),
        pytest.param(["hr_number", "7", "--until", SOON, "--reason", "x"], "invalid choice", id="a key"),
        pytest.param(["title", "--end", "--reason", "x"], "not overridden", id="nothing to end"),
    ],
)
def test_it_is_refused(fail: Run, arguments: list[str], says: str) -> None:
    assert says in fail("override_attribute", "ada@acme.example", *arguments)
    assert not Override.objects.exists()
