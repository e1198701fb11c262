"""What SimpleSAMLphp sends in every style of its own, the hub understands; what ends on one side ends on the other."""

import re
from typing import Any

import pytest

from provisioning.models import Account, Identity, Session

from .pair import Pair, Visitor, asks_for_password
from .styles import STYLES

pytestmark = [pytest.mark.journey, pytest.mark.slow]


@pytest.mark.parametrize(("habits", "said"), STYLES.values(), ids=STYLES)
def test_a_person_gets_where_she_wanted_and_is_the_same_next_time(
    pair: Pair, habits: dict[str, Any], said: dict[str, Any]
) -> None:
    pair.idp.behave(**habits)
    pair.learn()
    pair.set(**said)
    ada = pair.hire("Ada")
    visitor = Visitor(pair=pair)

    page = visitor.sign_in(ada, "/me/?from=a-link")
    assert (page.status_code, page.url) == (200, f"{pair.hub}/me/?from=a-link"), pair.last_reason()
    status, me = visitor.me()
    assert (status, me["tenant"]) == (200, "corp")
    person = Identity.objects.get()
    assert (person.email, person.given_name, person.family_name) == (
        ada.mail,
        ada.given_name,
        ada.family_name,
    )

    # Her session at the IdP still stands: it answers without asking her.
    visitor.forget_the_hub()
    assert visitor.open(pair.start()).url == f"{pair.hub}/me/"
    assert (Identity.objects.count(), Account.objects.count()) == (1, 1)


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "a transient NameID and nothing else to go by": (
        {"name_id": "transient"},
        {},
        "login:subject-transient",
        "sends nothing lasting to recognise you by",
    ),
    "a way of authentication that this IdP does not have": (
        {},
        {"authn_contexts": ["https://refeds.org/profile/mfa"]},
        "saml:authentication-weak",
        "asks for a stronger sign-in",
    ),
}


@pytest.mark.parametrize(("habits", "said", "reason", "words"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_suffice_ends_on_one_calm_page(
    pair: Pair, habits: dict[str, Any], said: dict[str, Any], reason: str, words: str
) -> None:
    pair.idp.behave(**habits)
    pair.learn()
    pair.set(**said)
    visitor = Visitor(pair=pair)
    page = visitor.sign_in(pair.hire("Ada"))
    assert (page.status_code, pair.last_reason()) == (403, reason)
    assert words in page.text
    assert visitor.me()[0] == 401
    assert not Identity.objects.exists()


def test_who_has_a_session_there_is_asked_again_where_the_connection_says_so(pair: Pair) -> None:
    pair.set(force_authn=True)
    ada, visitor = pair.hire("Ada"), Visitor(pair=pair)
    visitor.sign_in(ada)
    visitor.forget_the_hub()
    asked = visitor.open(pair.start())
    assert asks_for_password(asked)
    assert visitor.give_password(asked, ada).url == f"{pair.hub}/me/"


TILES = {
    "nobody asked, and the connection takes no such logins": (False, 403, "saml:unsolicited"),
    "nobody asked, and the connection takes such logins": (True, 200, "login:account-created"),
}


@pytest.mark.parametrize(("taken", "status", "reason"), TILES.values(), ids=TILES)
def test_a_login_that_begins_at_the_idp(pair: Pair, taken: bool, status: int, reason: str) -> None:
    pair.set(idp_initiated=taken)
    visitor = Visitor(pair=pair)
    tile = visitor.open(pair.idp.start_url(pair.entity_id, "/me/?from=tile"))
    page = visitor.give_password(tile, pair.hire("Ada"))
    assert (page.status_code, pair.last_reason()) == (status, reason)
    assert page.url == (f"{pair.hub}/me/?from=tile" if taken else pair.acs)


WAYS: dict[str, dict[str, Any]] = {
    "by redirect": {},
    "by redirect, an e-mail NameID": {"name_id": "email"},
    "by redirect, an encrypted NameID": {"encrypts_name_id": True},
    "by POST": {"takes": ("post",)},
    "by POST, an encrypted NameID": {"takes": ("post",), "encrypts_name_id": True},
}


@pytest.mark.parametrize("habits", WAYS.values(), ids=WAYS)
def test_who_signs_out_here_is_signed_out_there(pair: Pair, habits: dict[str, Any]) -> None:
    pair.idp.behave(**habits)
    pair.learn()
    ada, visitor = pair.hire("Ada"), Visitor(pair=pair)
    visitor.sign_in(ada)
    page = visitor.sign_out()
    assert "You are signed out" in page.text
    assert page.url.startswith(f"{pair.hub}/saml/{pair.connection.pk}/logout"), "the IdP answered"
    assert visitor.me()[0] == 401
    assert asks_for_password(visitor.open(pair.start()))


def _without_redirects(metadata: str) -> str:
    """A service provider that wants its LogoutRequests by POST: an IdP takes the first way that both have."""
    return re.sub(r"<[^<>]*SingleLogoutService [^<>]*HTTP-Redirect[^<>]*/>", "", metadata)


@pytest.mark.parametrize("habits", WAYS.values(), ids=WAYS)
def test_who_signs_out_there_is_signed_out_here_on_every_device(pair: Pair, habits: dict[str, Any]) -> None:
    pair.idp.behave(**habits)
    if habits.get("takes") == ("post",):
        pair.idp.meet(_without_redirects(pair.metadata()))
    pair.learn()
    ada, bob = pair.hire("Ada"), pair.hire("Bob")
    laptop, phone, colleague = Visitor(pair=pair), Visitor(pair=pair), Visitor(pair=pair)
    for visitor, person in ((laptop, ada), (phone, ada), (colleague, bob)):
        visitor.sign_in(person)
    assert Session.objects.count() == 3

    away = f"{pair.hub}/login/?signed-out=1"
    page = laptop.open(pair.idp.sign_out_url(away))
    assert page.url == away, "the hub answered, and the IdP went on"
    assert [visitor.me()[0] for visitor in (laptop, phone, colleague)] == [401, 401, 200]
    assert asks_for_password(laptop.open(pair.start()))


def test_keys_roll_over_at_the_idp_while_people_sign_in(pair: Pair) -> None:
    ada, patient = pair.hire("Ada"), Visitor(pair=pair)
    begun_before = patient.open(pair.start("/me/?begun=before"))
    steps: tuple[dict[str, str], ...] = (
        {"key": "first"},
        {"key": "first", "also_published": "second"},
        {"key": "second", "also_published": "first"},
        {"key": "second", "also_published": ""},
    )
    for step in steps:
        pair.idp.change(**step)
        assert Visitor(pair=pair).sign_in(ada).url == f"{pair.hub}/me/", f"{step}, before the hub hears of it"
        pair.learn()
        visitor = Visitor(pair=pair)
        assert visitor.sign_in(ada).url == f"{pair.hub}/me/", f"{step}, after it"
    page = patient.give_password(begun_before, ada)
    assert page.url == f"{pair.hub}/me/?begun=before"
    visitor.open(pair.idp.sign_out_url(f"{pair.hub}/login/"))
    assert visitor.me()[0] == 401, "the new key ends sessions, too"


def test_a_hub_that_heard_of_no_new_key_says_so_until_it_is_told(pair: Pair) -> None:
    ada, visitor = pair.hire("Ada"), Visitor(pair=pair)
    pair.idp.behave(key="second")
    page = visitor.sign_in(ada)
    assert (page.status_code, pair.last_reason()) == (403, "saml:signature-invalid")
    assert "Start again" in page.text
    pair.idp.behave(key="second", also_published="first")
    pair.learn()
    assert visitor.open(pair.start()).url == f"{pair.hub}/me/"
