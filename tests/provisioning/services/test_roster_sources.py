"""Where the hub lists people: what is kept, what is refused, and who gets the credential."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from identity_hub.core.sealing import unseal
from provisioning.models import AuditRecord, RosterSource
from provisioning.services import roster_sources, sealed
from provisioning.services.invalid import Invalid
from provisioning.sources.kinds import KINDS

from ..cast import OPERATOR, House, extend


def pem(key: Any) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


RSA = pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))


def key_file(private_key: str = RSA, **more: Any) -> str:
    told = {"type": "service_account", "client_email": "hub@project.iam.gserviceaccount.com"}
    return orjson.dumps({**told, "private_key": private_key, "private_key_id": "k1", **more}).decode()


SCIM = {"kind": "scim", "base_address": "https://idp.example/scim/v2/"}
GRAPH = {"kind": "graph", "token_address": "https://login.example/t/oauth2/v2.0/token", "client_id": "app"}
GOOGLE = {"kind": "google", "subject": "admin@corp.example"}

Keep = Callable[..., RosterSource]


@pytest.fixture
def keep(acme: House) -> Keep:
    def call(fields: dict[str, Any], secret: str = "", **more: Any) -> RosterSource:
        return roster_sources.keep_source(
            connection=acme.connection,
            actor=OPERATOR,
            fields=fields,
            secret=secret,
            **{"reason": "As agreed"} | more,
        )

    return call


def secret_of(source: RosterSource) -> str:
    return unseal(RosterSource.objects.get(pk=source.pk).sealed, for_row=str(source.pk))


@pytest.mark.parametrize(
    ("fields", "secret", "kept"),
    [
        pytest.param(SCIM, "token", {"base_address": "https://idp.example/scim/v2"}, id="SCIM by a token"),
        pytest.param(
            {**SCIM, "token_address": "https://idp.example/token", "client_id": "c"},
            "secret",
            {"client_id": "c"},
            id="SCIM by client credentials",
        ),
        pytest.param(GRAPH, "secret", {"base_address": "https://graph.microsoft.com/v1.0"}, id="Microsoft"),
        pytest.param(
            GOOGLE,
            key_file(),
            {
                "base_address": "https://admin.googleapis.com",
                "token_address": "https://oauth2.googleapis.com/token",
                "client_id": "hub@project.iam.gserviceaccount.com",
            },
            id="Google, by the file of a key",
        ),
    ],
)
def test_a_source_is_kept_with_what_its_kind_knows(
    keep: Keep, fields: dict[str, Any], secret: str, kept: dict[str, Any]
) -> None:
    source = keep(fields, f" {secret}\n")
    assert {name: getattr(source, name) for name in kept} == kept
    assert source.mapping == {name: KINDS[fields["kind"]].mapping[name] for name in source.mapping}
    assert set(source.mapping) == set(KINDS[fields["kind"]].mapping)
    assert "PRIVATE" not in source.sealed


def test_of_googles_file_only_the_key_and_its_name_are_kept(keep: Keep) -> None:
    source = keep(GOOGLE, key_file(token_uri="https://elsewhere.example/token"))
    assert orjson.loads(secret_of(source)) == {
        "client_email": "hub@project.iam.gserviceaccount.com",
        "private_key": RSA,
    }
    assert source.token_address == "https://oauth2.googleapis.com/token"


@pytest.mark.parametrize(
    ("fields", "secret", "field", "says"),
    [
        pytest.param({"kind": "ldap"}, "x", "kind", "google, graph, scim", id="an unknown kind"),
        pytest.param({"kind": "scim"}, "x", "base_address", "https://", id="SCIM without an address"),
        pytest.param(
            {**SCIM, "base_address": "ftp://idp.example"},
            "x",
            "base_address",
            "https://",
            id="no web address",
        ),
        pytest.param(
            {**SCIM, "base_address": "https://idp.example/scim?x=1"},
            "x",
            "base_address",
            "question mark",
            id="an address with a query",
        ),
        pytest.param(
            {**SCIM, "client_id": "c"}, "x", "token_address", "token", id="a client and no endpoint"
        ),
        pytest.param(
            {**GRAPH, "client_id": ""}, "x", "client_id", "client ID", id="Microsoft without a client"
        ),
        pytest.param({"kind": "google"}, key_file(), "subject", "administrator", id="Google for nobody"),
        pytest.param(GOOGLE, "x", "secret", "JSON file", id="Google without the file"),
        pytest.param(GOOGLE, key_file("no key"), "secret", "no RSA key", id="a file without a key"),
        pytest.param(
            GOOGLE,
            key_file(pem(ec.generate_private_key(ec.SECP256R1()))),
            "secret",
            "no RSA key",
            id="a key of another kind",
        ),
        pytest.param(SCIM, "", "secret", "give the credential", id="no credential"),
        pytest.param(SCIM, "two words", "secret", "blanks", id="a token with a blank"),
        pytest.param(SCIM, "x\r\nHost: evil", "secret", "line breaks", id="a token that would be a header"),
        pytest.param(SCIM, "x" * 20_000, "secret", "too long", id="an endless token"),
        pytest.param({**SCIM, "mapping": {"shoe_size": "x"}}, "x", "mapping", "shoe_size", id="no attribute"),
        pytest.param({**SCIM, "mapping": {"email": "mail"}}, "x", "mapping", "user_name", id="no key mapped"),
        pytest.param({**SCIM, "chosen": "a\x00b"}, "x", "chosen", "cannot be kept", id="a NUL"),
        pytest.param({**SCIM, "sealed": "x"}, "x", "sealed", "no field", id="the seal itself"),
    ],
)
def test_what_cannot_be_is_refused_at_its_field(
    keep: Keep, fields: dict[str, Any], secret: str, field: str, says: str
) -> None:
    with pytest.raises(Invalid, match=says) as raised:
        keep(fields, secret)
    assert raised.value.field == field
    assert not RosterSource.objects.exists()


@pytest.mark.parametrize(
    ("change", "asked"),
    [
        pytest.param({"base_address": "https://evil.example"}, True, id="another address"),
        pytest.param(
            {"token_address": "https://evil.example", "client_id": "c"}, True, id="another endpoint"
        ),
        pytest.param(GRAPH, True, id="another directory"),
        pytest.param({"chosen": "x"}, False, id="other people of the same server"),
        pytest.param({"scheduled": True}, False, id="the schedule"),
        pytest.param({"mapping": {"user_name": "userName"}}, False, id="the mapping"),
    ],
)
def test_a_credential_goes_to_another_server_only_when_it_is_entered_again(
    keep: Keep, change: dict[str, Any], asked: bool
) -> None:
    """Attack: who may change the address but does not know the secret has it sent to himself."""
    source = keep(SCIM, "token")
    if asked:
        with pytest.raises(Invalid, match="enter the credential again"):
            keep(change)
    else:
        keep(change)
    assert secret_of(source) == "token"
    assert (RosterSource.objects.get().base_address == "https://idp.example/scim/v2") is True
    keep(change, "another")
    assert secret_of(source) == "another"


def test_production_takes_no_address_without_tls(keep: Keep, settings: Any) -> None:
    settings.HUB_PRODUCTION = True
    with pytest.raises(Invalid, match="must begin with https://"):
        keep({**SCIM, "base_address": "http://idp.example"}, "x")


def test_what_changed_is_in_the_audit_without_what_it_is(keep: Keep, acme: House) -> None:
    source = keep(SCIM, "token", reason="First")
    keep({"scheduled": True}, reason="Every night")
    keep({"scheduled": True})
    roster_sources.remove_source(source=source, actor=OPERATOR, reason="No more")
    rows = AuditRecord.objects.filter(object_id=source.pk).order_by("at", "id")
    assert [(row.reason, row.connection_id) for row in rows] == [
        ("roster:source-set", acme.connection.pk),
        ("roster:source-set", acme.connection.pk),
        ("roster:source-removed", acme.connection.pk),
    ]
    assert rows[1].changes == [{"change": "configuration", "fields": ["scheduled"]}]
    assert not RosterSource.objects.exists()


def test_each_connection_has_its_own(acme: House, globex: House) -> None:
    second = extend(acme.tenant, "Second")
    for number, where in enumerate((acme, second, globex)):
        roster_sources.keep_source(
            connection=where.connection,
            actor=OPERATOR,
            reason="As agreed",
            fields=SCIM,
            secret=f"token{number}",
        )
    for number, where in enumerate((acme, second, globex)):
        found = roster_sources.source_of(where.connection)
        assert found is not None
        assert secret_of(found) == f"token{number}"
        assert found.tenant_id == where.tenant.pk


def test_credentials_move_to_a_new_key(keep: Keep, settings: Any) -> None:
    settings.CREDENTIAL_KEYS = ["o" * 32]
    source = keep(SCIM, "token")
    settings.CREDENTIAL_KEYS = ["n" * 32, "o" * 32]
    assert sealed.reseal_everything() == (1, [])
    settings.CREDENTIAL_KEYS = ["n" * 32]
    assert secret_of(source) == "token"
    settings.CREDENTIAL_KEYS = ["x" * 32]
    assert sealed.reseal_everything() == (0, [source.pk])
