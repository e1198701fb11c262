"""The operator's commands about the metadata of IdPs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command

from provisioning.models import AuditRecord, Connection, Tenant
from provisioning.services import configuration
from tests.identity_hub.core.test_outbound import server
from tests.provisioning.cast import OPERATOR
from tests.provisioning.commands.conftest import Run, fail, read, run

from .idp import TestIdp
from .test_metadata import FEDERATION, NEW, OLD, Address, idp_with, signed

__all__ = ["fail", "read", "run"]


@pytest.fixture
def address(idp: TestIdp) -> Iterator[Address]:
    published = Address(document=idp.metadata())
    with server(published.answer) as url:
        published.url = url
        yield published


@pytest.fixture
def followed(connection: Connection, address: Address) -> Connection:
    return configuration.change_connection(
        connection=connection, changes={"metadata_url": address.url}, actor=OPERATOR, reason="As agreed"
    )


def test_a_file_is_imported(connection: Connection, run: Run, tmp_path: Path) -> None:
    (tmp_path / "idp.xml").write_text(idp_with(NEW, OLD).metadata())
    said = run("import_metadata", "--connection", connection.name, str(tmp_path / "idp.xml"))
    assert (said["outcome"], said["follows"]) == ("taken", None)
    assert [one["subject"] for one in said["certificates"]] == ["CN=new", "CN=corp"]
    assert AuditRecord.objects.get(reason="metadata:taken").actor_kind == "command"


def test_an_address_is_imported_and_followed_with_its_signer(
    connection: Connection, run: Run, fail: Run, address: Address, tmp_path: Path
) -> None:
    (tmp_path / "signer.pem").write_bytes(FEDERATION.certificate)
    arguments = ["--connection", connection.name, address.url, "--follow"]
    arguments += ["--certificate", str(tmp_path / "signer.pem")]
    assert "not signed as a whole" in fail("import_metadata", *arguments)
    address.document = signed(idp_with(OLD).metadata('ID="_root"'))
    said = run("import_metadata", *arguments)
    assert (said["outcome"], said["follows"]) == ("unchanged", address.url)
    address.document = idp_with(OLD, NEW).metadata()
    assert "not signed as a whole" in fail("import_metadata", "--connection", connection.name, address.url)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["/nowhere"], "cannot be read", id="no file"),
        pytest.param(["idp.xml", "--follow"], "needs an address", id="a file to follow"),
        pytest.param(["idp.xml", "--certificate", "/nowhere"], "cannot be read", id="no certificate"),
        pytest.param(["http://127.0.0.1:1/"], "could not be read", id="an address that is away"),
    ],
)
def test_an_import_that_cannot_be_says_why(
    connection: Connection, fail: Run, arguments: list[str], sentence: str
) -> None:
    assert sentence in fail("import_metadata", "--connection", connection.name, *arguments)


def test_new_keys_need_a_word_and_a_reason(
    connection: Connection, run: Run, fail: Run, tmp_path: Path
) -> None:
    (tmp_path / "idp.xml").write_text(idp_with(NEW).metadata())
    arguments = ["--connection", connection.name, str(tmp_path / "idp.xml")]
    assert "None of the keys" in fail("import_metadata", *arguments)
    said = run("import_metadata", *arguments, "--new-keys-known", "--reason", "Seen on their page")
    assert said["outcome"] == "taken"


def test_all_addresses_are_read_and_a_failure_is_in_the_exit_code(
    followed: Connection, run: Run, address: Address
) -> None:
    address.document = idp_with(NEW, OLD).metadata()
    (said,) = run("refresh_metadata")["connections"]
    assert (said["name"], said["tenant"], said["outcome"]) == ("Test IdP", "corp", "taken")
    address.status = 404
    with pytest.raises(SystemExit, match="1"):
        call_command("refresh_metadata", "--connection", followed.name, "--json")


def test_a_connection_without_an_address_cannot_be_refreshed(connection: Connection, fail: Run) -> None:
    assert "follows no address" in fail("refresh_metadata", "--connection", connection.name)


@pytest.mark.parametrize("decision", ["confirmed", "rejected"])
def test_what_waits_is_decided(
    followed: Connection, run: Run, fail: Run, read: Run, address: Address, decision: str
) -> None:
    assert "No metadata waits" in fail("decide_metadata", "--connection", followed.name)
    address.document = idp_with(NEW).metadata()
    assert run("refresh_metadata")["connections"][0]["outcome"] == "frozen"
    shown = run("decide_metadata", "--connection", followed.name)
    assert (shown["status"], shown["decision"]) == ("frozen", None)
    digest = shown["proposed"]["digest"]
    assert f"--confirm {digest} takes it." in read("decide_metadata", "--connection", followed.name)
    how = ["--confirm", digest] if decision == "confirmed" else ["--reject"]
    arguments = ["decide_metadata", "--connection", followed.name, *how]
    assert "needs --reason" in fail(*arguments, "--reason", "")
    said = run(*arguments, "--reason", "Asked them")
    assert (said["status"], said["decision"]) == ("active", decision)
    followed.refresh_from_db()
    assert (followed.idp_metadata == address.document) == (decision == "confirmed")


def test_nothing_is_confirmed_that_was_not_shown(
    followed: Connection, run: Run, fail: Run, address: Address
) -> None:
    address.document = idp_with(NEW).metadata()
    run("refresh_metadata")
    said = fail("decide_metadata", "--connection", followed.name, "--confirm", "0" * 16, "--reason", "Fine")
    assert "Other metadata has come" in said


def test_a_connection_that_is_made_from_an_address_follows_it(
    tenant: Tenant, run: Run, address: Address
) -> None:
    said = run("create_connection", "--tenant", "corp", "--name", "New", "--idp-metadata", address.url)
    assert Connection.objects.get(pk=said["id"]).metadata_url == address.url
