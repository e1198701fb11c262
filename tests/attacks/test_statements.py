"""Assertions that the IdP really signed, for somebody else, somewhere else, at another time, or about something else.

An attacker has them from other services, from logs, from his own past; or the IdP can be brought to sign them.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from lxml import etree

from tests.saml_sp.idp import EMAIL, SAML, parse, stamp

from .scene import Attack, Attacks, Message, Scene, assert_refused, edited, find

ATTACKS = Attacks()
CM = "urn:oasis:names:tc:SAML:2.0:cm"


def said(**changes: Any) -> Callable[[Scene], Message]:
    return lambda s: s.minted(**changes)


def shifted(**shifts: timedelta) -> Callable[[Scene], Message]:
    return lambda s: s.minted(**{name: s.facts.at + shift for name, shift in shifts.items()})


def acs(change: Callable[[str], str], field: str) -> Callable[[Scene], Message]:
    return lambda s: s.minted(**{field: change(s.facts.acs)})


def xml(text: str) -> etree._Element:
    return parse(text.replace(" ", f' xmlns:saml="{SAML}" ', 1) if " " in text else text)


def drop(name: str) -> Callable[[etree._Element], None]:
    def edit(assertion: etree._Element) -> None:
        found = find(assertion, name)
        found.getparent().remove(found)

    return edit


# For whom.

ATTACKS.row("no Conditions", "saml:conditions-missing", said(conditions=False))
ATTACKS.row("no AudienceRestriction", "saml:audience-missing", said(audience=None))
ATTACKS.row("another service's Audience", "saml:audience-foreign", said(audience="https://other.example"))
ATTACKS.row("an empty Audience", "saml:audience-foreign", said(audience=""))
ATTACKS.row(
    "an AudienceRestriction without an Audience",
    "saml:signature-invalid",
    lambda s: s.minted(drop("Audience")),
)
ATTACKS.row(
    "our Audience in one restriction, a foreign one in the next",
    "saml:audience-foreign",
    said(extra_audiences=("https://other.example",)),
)
ATTACKS.row(
    "an Audience that begins like ours",
    "saml:audience-foreign",
    lambda s: s.minted(audience=f"{s.facts.audience}/x"),
)
ATTACKS.row(
    "our Audience in capitals",
    "saml:audience-foreign",
    lambda s: s.minted(audience=str(s.facts.audience).upper()),
)
ATTACKS.row(
    "our Audience with a blank of Unicode",
    "saml:audience-foreign",
    lambda s: s.minted(audience=f"{s.facts.audience}\u00a0"),
)
ATTACKS.row("our ACS as the Audience", "saml:audience-foreign", lambda s: s.minted(audience=s.facts.acs))
ATTACKS.row(
    "another tenant's Audience",
    "saml:audience-foreign",
    lambda s: s.minted(audience=s.elsewhere().facts.audience),
)
ATTACKS.row(
    "another service's Recipient", "saml:recipient-foreign", said(recipient="https://other.example/acs")
)
ATTACKS.row("no Recipient", "saml:recipient-foreign", said(recipient=None))
ATTACKS.row(
    "our entity ID as the Recipient", "saml:recipient-foreign", lambda s: s.minted(recipient=s.facts.audience)
)
ATTACKS.row("a Recipient with a slash more", "saml:recipient-foreign", acs(lambda a: f"{a}/", "recipient"))
ATTACKS.row("a Recipient with a query", "saml:recipient-foreign", acs(lambda a: f"{a}?x", "recipient"))
ATTACKS.row(
    "a Recipient with a name and an @ before ours",
    "saml:recipient-foreign",
    acs(lambda a: a.replace("://", "://evil@"), "recipient"),
)
ATTACKS.row(
    "another tenant's Recipient",
    "saml:recipient-foreign",
    lambda s: s.minted(recipient=s.elsewhere().facts.acs),
)
ATTACKS.row("another Destination", "saml:destination-foreign", said(destination="https://other.example/acs"))
ATTACKS.row(
    "another Destination, signed",
    "saml:destination-foreign",
    said(destination="https://other.example/acs", style="response"),
)
ATTACKS.row(
    "a Destination that begins like ours", "saml:destination-foreign", acs(lambda a: f"{a}x", "destination")
)
ATTACKS.row(
    "an empty Destination",
    "saml:destination-foreign",
    lambda s: edited(s.signed, lambda r: r.set("Destination", "")),
)
ATTACKS.row(
    "a signed Response without Destination",
    "saml:destination-missing",
    said(destination=None, style="response"),
)

# By whom.

ATTACKS.row(
    "no Issuer in the Response",
    "saml:issuer-missing",
    lambda s: edited(s.signed, lambda r: r.remove(r[0])),
)
ATTACKS.row(
    "another Issuer in the Response", "saml:issuer-foreign", said(response_issuer="https://other.example")
)
ATTACKS.row(
    "an Issuer that begins like ours",
    "saml:issuer-foreign",
    said(response_issuer="https://idp.example/metadata/x"),
)
ATTACKS.row(
    "another Issuer in the assertion of a signed Response",
    "saml:issuer-foreign",
    lambda s: s.minted(style="response", issuer="https://other.example", response_issuer=s.idp.entity_id),
)
ATTACKS.row(
    "no Issuer in the assertion of a signed Response",
    "saml:signature-invalid",
    lambda s: s.minted(lambda r: drop("Issuer")(find(r, "Assertion")), style="response"),
)
ATTACKS.row(
    "an Issuer of another kind, that reads like our IdP's",
    "saml:issuer-foreign",
    lambda s: s.minted(lambda a: find(a, "Issuer").set("Format", EMAIL)),
)

# In answer to what.

ATTACKS.row("no InResponseTo", "saml:unsolicited", said(in_response_to=None))
ATTACKS.row("an empty InResponseTo", "saml:unsolicited", said(in_response_to=""))
ATTACKS.row("an InResponseTo that nobody asked", "saml:request-unknown", said(in_response_to="_guessed"))
ATTACKS.row(
    "an InResponseTo in the confirmation that nobody asked",
    "saml:request-foreign",
    said(confirmation_in_response_to="_other"),
)
ATTACKS.row(
    "no InResponseTo in the confirmation", "saml:request-foreign", said(confirmation_in_response_to=None)
)

# How confirmed.

ATTACKS.row("a confirmation without an end", "saml:confirmation-endless", said(confirmation_endless=True))
for _method in ("sender-vouches", "holder-of-key", "BEARER"):
    ATTACKS.row(f"confirmed by {_method} alone", "saml:confirmation-missing", said(method=f"{CM}:{_method}"))
ATTACKS.row("confirmed by no method", "saml:confirmation-missing", said(method=""))
ATTACKS.row(
    "no SubjectConfirmation", "saml:confirmation-missing", lambda s: s.minted(drop("SubjectConfirmation"))
)
ATTACKS.row(
    "no SubjectConfirmationData",
    "saml:recipient-foreign",
    lambda s: s.minted(drop("SubjectConfirmationData")),
)
ATTACKS.row("no Subject", "saml:confirmation-missing", lambda s: s.minted(drop("Subject")))
ATTACKS.row(
    "several confirmations, each good in another way",
    "saml:request-foreign",
    lambda s: s.minted(
        recipient="https://other.example/acs",
        extra_confirmations=(
            f'<saml:SubjectConfirmation Method="{CM}:bearer"><saml:SubjectConfirmationData Recipient="{s.facts.acs}" '
            f'InResponseTo="_other" NotOnOrAfter="{stamp(s.facts.at + timedelta(minutes=5))}"/>'
            "</saml:SubjectConfirmation>"
        ),
    ),
)

# When.

ATTACKS.row(
    "an expired assertion", "saml:expired", shifted(not_on_or_after=timedelta(minutes=-2)), "CVE-2018-14637"
)
ATTACKS.row(
    "a confirmation that is over",
    "saml:expired",
    shifted(confirmation_ends=timedelta(minutes=-2)),
    "CVE-2026-1190",
)
ATTACKS.row("an assertion of tomorrow", "saml:not-yet-valid", shifted(not_before=timedelta(minutes=3)))
ATTACKS.row(
    "a confirmation of tomorrow",
    "saml:not-yet-valid",
    lambda s: s.minted(
        lambda a: find(a, "SubjectConfirmationData").set(
            "NotBefore", stamp(s.facts.at + timedelta(minutes=3))
        )
    ),
)
ATTACKS.row(
    "an assertion issued twenty minutes ago",
    "saml:too-old",
    lambda s: s.minted(
        at=s.facts.at - timedelta(minutes=20), not_on_or_after=s.facts.at + timedelta(minutes=5)
    ),
)
ATTACKS.row(
    "an old assertion in a new Response",
    "saml:too-old",
    lambda s: s.minted(
        lambda a: a.set("IssueInstant", stamp(s.facts.at - timedelta(minutes=20))),
    ),
)
ATTACKS.row(
    "issued in the future",
    "saml:not-yet-valid",
    lambda s: s.minted(lambda a: a.set("IssueInstant", stamp(s.facts.at + timedelta(minutes=3)))),
)
ATTACKS.row(
    "a new assertion in a signed Response issued twenty minutes ago",
    "saml:too-old",
    lambda s: s.minted(
        lambda r: r.set("IssueInstant", stamp(s.facts.at - timedelta(minutes=20))), style="response"
    ),
)
ATTACKS.row(
    "a new assertion in a signed Response issued in the future",
    "saml:not-yet-valid",
    lambda s: s.minted(
        lambda r: r.set("IssueInstant", stamp(s.facts.at + timedelta(minutes=3))), style="response"
    ),
)
ATTACKS.row("a window of a year", "saml:window-too-long", shifted(not_on_or_after=timedelta(days=365)))
ATTACKS.row(
    "a window of a year in the confirmation",
    "saml:window-too-long",
    shifted(confirmation_ends=timedelta(days=365)),
)
ATTACKS.row(
    "a session that is over", "saml:session-over", shifted(session_not_on_or_after=timedelta(minutes=-5))
)
ATTACKS.row(
    "a session that was over half a minute ago",
    "saml:session-over",
    shifted(session_not_on_or_after=timedelta(seconds=-30)),
)
ATTACKS.row(
    "two statements, of which one's session is over",
    "saml:session-over",
    lambda s: s.minted(
        lambda a: find(a, "AuthnStatement").addnext(over(a, s.facts.at - timedelta(minutes=5))),
    ),
)
ATTACKS.row(
    "two statements, of which each alone would do",
    "saml:several-authentications",
    lambda s: s.minted(
        lambda a: find(a, "AuthnStatement").addnext(over(a, s.facts.at + timedelta(hours=8))),
    ),
)
ATTACKS.row(
    "a window that ends before it begins, both by less than a clock may be wrong",
    "saml:expired",
    shifted(not_before=timedelta(seconds=30), not_on_or_after=timedelta(seconds=-30)),
)
for _zone, _hours in (("+00:00", 0), ("+02:00", 2)):
    ATTACKS.row(
        f"an assertion that is over, in times of {_zone}",
        "saml:expired",
        lambda s, zone=_zone, hours=_hours: s.minted(
            lambda a: find(a, "Conditions").set(
                "NotOnOrAfter", stamp(s.facts.at + timedelta(hours=hours, minutes=-2)).replace("Z", zone)
            )
        ),
    )


def over(assertion: etree._Element, at: Any) -> etree._Element:
    copy = parse(etree.tostring(find(assertion, "AuthnStatement")))
    copy.set("SessionNotOnOrAfter", stamp(at))
    return copy


# About what.

ATTACKS.row("no AuthnStatement", "saml:authentication-missing", said(authn_statement=False))
ATTACKS.row(
    "an authorization decision in its place",
    "saml:authentication-missing",
    lambda s: s.minted(
        lambda a: find(a, "Conditions").addnext(
            xml(
                '<saml:AuthzDecisionStatement Resource="urn:x" Decision="Permit"><saml:Action Namespace="urn:x">x'
                "</saml:Action></saml:AuthzDecisionStatement>"
            )
        ),
        authn_statement=False,
    ),
)
ATTACKS.row(
    "a condition that nobody knows",
    "saml:condition-unknown",
    lambda s: s.minted(
        lambda r: find(r, "Conditions").append(parse('<x:Only xmlns:x="urn:example:x">Tuesdays</x:Only>')),
        style="sealed",
    ),
)
ATTACKS.row("no name and no key", "login:subject-transient", said(name_id=None), uses_up=True)
ATTACKS.row("an empty NameID", "saml:subject-missing", said(name_id=""))
ATTACKS.row("a NameID of blanks", "saml:subject-missing", said(name_id=" \n\t "))
ATTACKS.row(
    "a login that the IdP refused",
    "saml:idp-refused",
    said(status="urn:oasis:names:tc:SAML:2.0:status:Responder"),
)
ATTACKS.row(
    "a login that the IdP refused, by a Response that it signed",
    "saml:idp-refused",
    said(status="urn:oasis:names:tc:SAML:2.0:status:Requester", style="response"),
)


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_nobody_comes_in_by(scene: Scene, attack: Attack) -> None:
    assert_refused(scene, attack)
