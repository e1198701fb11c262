"""What SimpleSAMLphp sends in every style of its own, the hub understands; what ends on one side ends on the other."""

from typing import Any

import pytest

from provisioning.models import Account, Identity

from .pair import Pair, Visitor

pytestmark = [pytest.mark.journey, pytest.mark.slow, pytest.mark.xdist_group("journeys")]

_AES = "http://www.w3.org/2001/04/xmlenc#aes"
_GCM = "http://www.w3.org/2009/xmlenc11#aes"

# The IdP's habits, and what the connection has to say about them.
STYLES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the assertion is signed": ({"signs": "assertion"}, {}),
    "only the Response is signed": ({"signs": "response"}, {}),
    "both are signed": ({"signs": "both"}, {}),
    "an e-mail NameID, attributes named by OID": ({"name_id": "email", "names": "oid"}, {}),
    "a persistent NameID, attributes named as claims": ({"name_id": "persistent", "names": "claims"}, {}),
    "an e-mail NameID, claims, only the Response signed": (
        {"name_id": "email", "names": "claims", "signs": "response"},
        {},
    ),
    "an encrypted assertion, signed inside": (
        {"signs": "assertion", "encrypts": f"{_AES}128-cbc", "names": "oid"},
        {},
    ),
    "an encrypted assertion in a signed Response": (
        {"signs": "response", "encrypts": f"{_AES}256-cbc", "names": "claims"},
        {},
    ),
    "an encrypted assertion, both signed, by GCM": (
        {"signs": "both", "encrypts": f"{_GCM}256-gcm", "name_id": "email"},
        {},
    ),
    "an encrypted NameID": ({"encrypts_name_id": True}, {}),
    "an encrypted NameID in an encrypted assertion": (
        {"encrypts_name_id": True, "encrypts": f"{_GCM}128-gcm", "name_id": "email"},
        {},
    ),
    "a transient NameID, and a name in an attribute": (
        {"name_id": "transient"},
        {"user_name_attribute": "uid", "external_id_attribute": "employeeNumber"},
    ),
    "a request by POST": ({"takes": ("post",)}, {}),
    "a request by POST, everything encrypted": (
        {"takes": ("post",), "encrypts": f"{_AES}128-cbc", "encrypts_name_id": True, "names": "oid"},
        {},
    ),
}


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
