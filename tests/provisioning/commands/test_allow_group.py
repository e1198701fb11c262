"""The allow-list of groups that logins bring, by command."""

from provisioning.models import AssertedGroup, Connection, Entitlement

from ..cast import House, sign_in
from .conftest import Run

SAID = ("--tenant", "acme", "--connection", "Main", "--group", "cn=Staff,o=acme", "--entitlement", "Reader")


def test_a_value_is_allowed_once_and_its_entitlement_made(run: Run, acme: House) -> None:
    first = run("allow_group", *SAID, "--attribute", "memberOf", "--reason", "go-live")
    assert (first["changed"], first["attribute"]) == (True, "memberOf")
    assert run("allow_group", *SAID)["changed"] is False
    row = AssertedGroup.objects.get()
    assert (row.value, row.entitlement.name, row.connection_id) == (
        "cn=Staff,o=acme",
        "Reader",
        acme.connection.pk,
    )
    assert Connection.objects.get(pk=acme.connection.pk).group_attribute == "memberOf"
    sign_in(acme, "ada", groups=("cn=Staff,o=acme",))


def test_a_value_is_taken_off_the_list(run: Run, fail: Run, read: Run, acme: House) -> None:
    run("allow_group", *SAID)
    assert "no longer gives" in read("allow_group", *SAID, "--remove")
    assert not AssertedGroup.objects.exists()
    assert Entitlement.objects.filter(name="Reader").exists()
    assert "does not give" in fail("allow_group", *SAID, "--remove")


def test_an_empty_value_is_no_group(fail: Run, acme: House) -> None:
    fail("allow_group", *SAID[:4], "--group", " ", "--entitlement", "Reader")
    assert not Entitlement.objects.filter(name="Reader").exists()
