"""Listings of other servers, played from their documentation: what is asked, what comes of it, what is refused."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc import jwt
from joserfc.jwk import RSAKey

from provisioning.roster import Unreadable
from provisioning.roster.mapping import checked
from provisioning.sources import Away, Expired, Listing, google, graph
from provisioning.sources.credentials import Bearer, ClientCredentials, ServiceAccount
from provisioning.sources.pulled import Pulled
from provisioning.sources.wire import TRIES, Wire
from scim.directory import MAPPING
from scim.listing import ScimListing
from tests.conversations.played import LISTINGS, Played, playing

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
ACCOUNT, SUBJECT = "hub@project.iam.gserviceaccount.com", "admin@corp.example"
MAPPINGS = {"scim": MAPPING, "google": google.MAPPING, "graph": graph.MAPPING}


def listing_of(kind: str, played: Played, waited: list[float], chosen: str = "") -> Listing:
    token_address = f"{played.base}/token"
    options: dict[str, Any] = {"wait": waited.append, "clock": lambda: AT}
    if kind == "scim":
        wire = Wire(Bearer("pulled"), **options)
        return ScimListing(wire, f"{played.base}/scim/v2/", chosen=chosen, count=3)
    if kind == "google":
        account = ServiceAccount(
            token_address=token_address, account=ACCOUNT, key=PEM, subject=SUBJECT, scope=google.SCOPE
        )
        return google.GoogleListing(Wire(account, busy=google.is_busy, **options), played.base, chosen=chosen)
    client = ClientCredentials(
        token_address=token_address,
        client_id="6731de76-14a6-49ae-97bc-6eba6914391e",
        secret="pulled",
        scope=graph.SCOPE,
    )
    return graph.GraphListing(Wire(client, **options), f"{played.base}/v1.0", chosen=chosen)


def source_of(kind: str, listing: Listing) -> Pulled:
    return Pulled(kind=kind, listing=listing, mapping=checked(MAPPINGS[kind]))


def told(conversation: dict[str, Any]) -> str:
    return f"{conversation['id']}: {conversation['name']}"


ENDING_WELL = [one for one in LISTINGS if "people" in one["expect"]]
ENDING_BADLY = [one for one in LISTINGS if "people" not in one["expect"]]


@pytest.mark.parametrize("conversation", [pytest.param(one, id=told(one)) for one in ENDING_WELL])
def test_everybody_is_listed(conversation: dict[str, Any]) -> None:
    wanted, waited = conversation["expect"], []
    with playing(conversation["steps"]) as played:
        listing = listing_of(conversation["kind"], played, waited, wanted.get("chosen", ""))
        cursor = played.filled(wanted.get("resume"))
        pages = list(source_of(conversation["kind"], listing).pages(cursor))
        played.finish()

    assert [len(page.rows) for page in pages] == wanted["pages"]
    assert [fault.told for page in pages for fault in page.faults] == []
    assert {page.total for page in pages} == {wanted["total"]}
    assert pages[-1].cursor is None
    first = (wanted.get("resume") or {}).get("first", 1)
    lines = [line for page in pages for line, _ in page.rows]
    assert lines == list(range(first, first + wanted["people"]))
    if "active" in wanted:
        assert [values[2] for page in pages for _, values in page.rows] == wanted["active"]
    assert waited == wanted.get("waited", [])


@pytest.mark.parametrize("conversation", [pytest.param(one, id=told(one)) for one in ENDING_BADLY])
def test_what_is_incomplete_is_refused(conversation: dict[str, Any]) -> None:
    wanted = conversation["expect"]
    with playing(conversation["steps"]) as played:
        listing = listing_of(conversation["kind"], played, [], wanted.get("chosen", ""))
        pages = listing.pages(played.filled(wanted.get("resume")))
        with pytest.raises((Unreadable, Expired, Away)) as raised:
            list(pages)
        played.finish()

    problem = raised.value
    if "flaw" in wanted:
        assert isinstance(problem, Unreadable)
        assert problem.flaw == wanted["flaw"]
    else:
        assert isinstance(problem, Expired if wanted.get("expired") else Away)
    assert re.search(wanted.get("says") or wanted.get("away") or "no longer knows", str(problem))
    assert "Jane" not in str(problem)


def steps_of(name: str) -> list[dict[str, Any]]:
    return next(one["steps"] for one in LISTINGS if one["id"] == name)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("scim-index", "scim"), ("scim-cursor", "scim"), ("google-list", "google"), ("graph-list", "graph")],
)
def test_a_listing_goes_on_where_it_was_left(name: str, kind: str) -> None:
    """What the first page names is all that the second one needs: the process between them may be another."""
    steps = steps_of(name)
    with playing(steps) as played:
        source = source_of(kind, listing_of(kind, played, []))
        whole = [row for page in source.pages(None) for row in page.rows]
        played.finish()

    token = [step for step in steps if step["path"] == "/token"]
    asked_first = (
        len([step for step in steps if "Users" not in step["path"] and "users" not in step["path"]]) + 1
    )
    with playing([*steps[:asked_first], *token, *steps[asked_first:]]) as played:
        first = next(source_of(kind, listing_of(kind, played, [])).pages(None))
        rest = [
            row
            for page in source_of(kind, listing_of(kind, played, [])).pages(first.cursor)
            for row in page.rows
        ]
        played.finish()
    assert [*first.rows, *rest] == whole


def test_a_person_is_read_as_google_and_microsoft_mean_it() -> None:
    read = {}
    for name, kind in (("scim-index", "scim"), ("google-list", "google"), ("graph-list", "graph")):
        with playing(steps_of(name)) as played:
            ((_, read[kind]), *_), *_ = [
                page.rows for page in source_of(kind, listing_of(kind, played, [])).pages(None)
            ]
    name = ("Given1", "Family1", "Given1 Family1")
    email = "person1@corp.example"
    assert read == {
        "scim": ("s-1", email, True, email, *name, "", "", "1001", "Sales", ""),
        "google": ("111", email, True, email, *name, "en-GB", "", "1001", "Research", "Engineer"),
        "graph": (
            "87d349ed-44d7-43e1-9a83-5f2406dee5b1",
            *(email, True, email, *name, "en-GB", "", "1001", "Research", "Engineer"),
        ),
    }


def test_the_assertion_is_signed_and_speaks_for_the_administrator() -> None:
    with playing(steps_of("google-nobody")) as played:
        list(listing_of("google", played, []).pages(None))
        signed = played.asked[0]["form"]["assertion"]
    assertion = jwt.decode(signed, RSAKey.import_key(PUBLIC), algorithms=["RS256"])
    assert assertion.header == {"alg": "RS256", "typ": "JWT"}
    assert assertion.claims == {
        "iss": ACCOUNT,
        "sub": SUBJECT,
        "scope": "https://www.googleapis.com/auth/admin.directory.user.readonly",
        "aud": f"{played.base}/token",
        "iat": int(AT.timestamp()),
        "exp": int(AT.timestamp()) + 600,
    }


def test_a_key_that_is_none_is_said_to_be_none() -> None:
    account = ServiceAccount(
        token_address="http://127.0.0.1:1/",
        account=ACCOUNT,
        key="no key",
        subject=SUBJECT,
        scope=google.SCOPE,
    )
    with pytest.raises(Unreadable, match="key cannot be used"):
        list(google.GoogleListing(Wire(account, wait=lambda _: None)).pages(None))


def test_a_server_that_is_away_is_asked_again_and_then_left() -> None:
    waited: list[float] = []
    with playing([]) as played:
        gone = played.base
    listing = ScimListing(Wire(Bearer("pulled"), wait=waited.append), gone)
    with pytest.raises(Away, match="could not be read"):
        list(listing.pages({"way": "index", "first": 1}))
    assert waited == [1, 2, 4, 8, 16]
    assert len(waited) == TRIES - 1


def test_a_redirect_is_not_followed_with_the_credential() -> None:
    steps = [
        {"method": "GET", "path": "/Users", "status": 307, "answers": {"Location": "http://127.0.0.1:1/"}}
    ]
    with playing(steps) as played:
        listing = ScimListing(Wire(Bearer("pulled")), played.base)
        with pytest.raises(Unreadable, match="status 307"):
            list(listing.pages({"way": "index", "first": 1}))
        played.finish()


def test_production_pulls_from_no_private_address(settings: Any) -> None:
    settings.HUB_PRODUCTION = True
    listing = ScimListing(Wire(Bearer("pulled"), wait=lambda _: None), "https://127.0.0.1/scim/v2")
    with pytest.raises(Away, match="private address"):
        list(listing.pages({"way": "index", "first": 1}))
