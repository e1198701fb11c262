"""What a service provider must refuse although the signature is good: one rule, one function, one reason code.

Judges values only; knows no key, no database and no clock. pysaml2 7.5.5 accepts most of what is refused here.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from provisioning.decision.quick import quick

from .assertion import CONDITIONS, ENTITY, Assertion, Confirmation, Response
from .refusal import Refusal, refuse

BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
SKEW = timedelta(seconds=60)
MAX_AGE = timedelta(minutes=10)
MAX_AGE_UNASKED = timedelta(minutes=2)
"""Of an answer that nobody asked for: no request ends with it, so its own age has to."""
# Entra's assertions are valid for an hour and a little; nobody needs one that lives longer.
MAX_WINDOW = timedelta(minutes=65)
MAX_ATTRIBUTES = 200
MAX_VALUES = 2000
MAX_VALUE_LENGTH = 4096
_ERROR_CODE = re.compile(r"\b(?:AADSTS[0-9]{4,8}|MSIS[0-9]{4})\b", re.ASCII)
"""Of Entra ID and of AD FS, which explain by it more than by the status."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Who we are at this connection, whom we asked, what we asked ("" for nothing), and when it is."""

    sp: str
    acs: str
    idp: str
    request_id: str
    at: datetime
    authenticated_since: datetime | None = None
    """A new authentication was asked for at this moment."""
    authn_contexts: tuple[str, ...] = ()
    """One of these was asked for; none means any."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    response: Response
    response_signed: bool
    assertion: Assertion
    expected: Expected


def envelope(response: Response, expected: Expected) -> Refusal | None:
    """The rules about the Response that need no signature to refuse by."""
    return next((refusal for rule in ENVELOPE if (refusal := rule(response, expected)) is not None), None)


def judge(login: Login) -> Refusal | None:
    """The first rule that the verified assertion breaks; None when it may be believed."""
    return next((refusal for rule in RULES if (refusal := rule(login)) is not None), None)


def version(response: Response, expected: Expected) -> Refusal | None:
    if response.version != "2.0":
        return refuse("saml:version", where="Response", expected="2.0", found=response.version or "none")
    return None


def response_issuer(response: Response, expected: Expected) -> Refusal | None:
    # Attack: mix-up. Another IdP's answer arrives at the address of this connection.
    if not response.issuer:
        return refuse("saml:issuer-missing", where="Response", expected=expected.idp, found="none")
    if response.issuer != expected.idp:
        return refuse("saml:issuer-foreign", where="Response", expected=expected.idp, found=response.issuer)
    return None


def destination(response: Response, expected: Expected) -> Refusal | None:
    # Attack: a response meant for another service provider of the same IdP is forwarded here (bindings 3.5.5.2).
    if response.destination is not None and response.destination != expected.acs:
        return refuse(
            "saml:destination-foreign", expected=expected.acs, found=response.destination or "nothing"
        )
    return None


def succeeded(response: Response, expected: Expected) -> Refusal | None:
    if response.succeeded:
        return None
    status = " ".join(code.rpartition(":")[2] for code in response.status)
    # Attack: nothing is signed yet, so whoever waits for an answer may write here what administrators read. And Entra
    # names the person whom it did not let in. Of the message only a product's code is kept.
    code = _ERROR_CODE.search(response.status_message)
    return refuse("saml:idp-refused", status=status or "none", **({"code": code[0]} if code else {}))


def destination_of_signed_response(login: Login) -> Refusal | None:
    # Bindings 3.5.5.2: a signed Response must say where it goes, else its signature can be carried elsewhere.
    if login.response_signed and not login.response.destination:
        return refuse("saml:destination-missing", expected=login.expected.acs, found="none")
    return None


def response_age(login: Login) -> Refusal | None:
    return _age(login.response.issued_at, login.expected.at, "Response")


def assertion_version(login: Login) -> Refusal | None:
    # Core 2.3.3: what another version's elements mean is not known here.
    found = login.assertion.version
    if found != "2.0":
        return refuse("saml:version", where="Assertion", expected="2.0", found=found or "none")
    return None


def assertion_issuer(login: Login) -> Refusal | None:
    # Attack: tenant 2's genuinely signed assertion inside an unsigned Response that names tenant 1.
    if not login.assertion.issuer:
        return refuse("saml:issuer-missing", where="Assertion", expected=login.expected.idp, found="none")
    if login.assertion.issuer != login.expected.idp:
        return refuse(
            "saml:issuer-foreign",
            where="Assertion",
            expected=login.expected.idp,
            found=login.assertion.issuer,
        )
    # Profiles 4.1.4.2: an IdP is named by its entity ID; a name of another kind that reads the same is somebody else.
    if login.assertion.issuer_format:
        found = login.assertion.issuer_format
        return refuse("saml:issuer-foreign", where="Format of Issuer", expected=ENTITY, found=found)
    return None


def assertion_age(login: Login) -> Refusal | None:
    # Attack: an old assertion with a generous window, found in a log or a browser's history.
    return _age(login.assertion.issued_at, login.expected.at, "Assertion")


def _age(issued_at: datetime, at: datetime, where: str) -> Refusal | None:
    age = at - issued_at
    if age > MAX_AGE + SKEW:
        return refuse("saml:too-old", where=where, issued=issued_at.isoformat(), now=at.isoformat())
    if age < -SKEW:
        return refuse("saml:not-yet-valid", where=where, issued=issued_at.isoformat(), now=at.isoformat())
    return None


def unasked_age(login: Login) -> Refusal | None:
    # Attack: a tile's answer, kept and brought by another browser before it is used: no pending request stops that.
    issued, at = login.assertion.issued_at, login.expected.at
    if not login.expected.request_id and at - issued > MAX_AGE_UNASKED + SKEW:
        return refuse("saml:too-old", where="Assertion", issued=issued.isoformat(), now=at.isoformat())
    return None


def conditions_present(login: Login) -> Refusal | None:
    # Attack: an assertion without Conditions is good for everybody, for ever.
    return None if login.assertion.has_conditions else refuse("saml:conditions-missing")


def conditions_known(login: Login) -> Refusal | None:
    # Core 2.5.1: with a condition that is not understood nobody knows whether the assertion holds.
    unknown = login.assertion.unknown_conditions
    if unknown:
        known = " ".join(sorted(CONDITIONS))
        return refuse("saml:condition-unknown", expected=known, found=" ".join(unknown))
    return None


def conditions_window(login: Login) -> Refusal | None:
    assertion = login.assertion
    return _window("Conditions", assertion.not_before, assertion.not_on_or_after, login)


def _window(where: str, start: datetime | None, end: datetime | None, login: Login) -> Refusal | None:
    at = login.expected.at
    # Core 2.5.1.2: it is valid at no moment, which the allowance for clocks would hide.
    if start is not None and end is not None and end < start:
        return refuse(
            "saml:expired",
            where=where,
            not_before=start.isoformat(),
            not_on_or_after=end.isoformat(),
            now=at.isoformat(),
        )
    if start is not None and start - at > SKEW:
        return refuse("saml:not-yet-valid", where=where, not_before=start.isoformat(), now=at.isoformat())
    if end is not None and at - end >= SKEW:
        return refuse("saml:expired", where=where, not_on_or_after=end.isoformat(), now=at.isoformat())
    # Attack: a window of years makes the memory of consumed assertions the only guard.
    if end is not None and end - login.assertion.issued_at > MAX_WINDOW:
        return refuse(
            "saml:window-too-long",
            where=where,
            issued=login.assertion.issued_at.isoformat(),
            not_on_or_after=end.isoformat(),
            limit=MAX_WINDOW,
        )
    return None


def audience(login: Login) -> Refusal | None:
    # Attack: an assertion for another service, which its owner replays here. Restrictions add up (core 2.5.1.4):
    # each of them has to name us; pysaml2 is content with one.
    if not login.assertion.audiences:
        return refuse("saml:audience-missing", expected=login.expected.sp, found="none")
    for named in login.assertion.audiences:
        if login.expected.sp not in named:
            return refuse(
                "saml:audience-foreign", expected=login.expected.sp, found=" ".join(named) or "none"
            )
    return None


def bearer_confirmation(login: Login) -> Refusal | None:
    # One good bearer confirmation is enough and needed (profiles 4.1.4.3); holder-of-key and sender-vouches prove
    # nothing in a browser and are passed over.
    judged = [_bearer(c, login) for c in login.assertion.confirmations if c.method == BEARER]
    if not judged:
        methods = " ".join(c.method for c in login.assertion.confirmations)
        return refuse("saml:confirmation-missing", expected=BEARER, found=methods or "none")
    if any(refusal is None for refusal in judged):
        return None
    # The most telling one: of several, the one that was at least meant for us.
    return max((r for r in judged if r is not None), key=lambda r: r.reason != "saml:recipient-foreign")


def _bearer(confirmation: Confirmation, login: Login) -> Refusal | None:
    expected = login.expected
    # Attack: an assertion for another service provider with a similar audience; pysaml2 takes any Recipient
    # unless it is told who we are.
    if confirmation.recipient != expected.acs:
        return refuse("saml:recipient-foreign", expected=expected.acs, found=confirmation.recipient or "none")
    if confirmation.not_on_or_after is None:
        return refuse("saml:confirmation-endless")
    # Attack: an assertion stolen from another login. The Response's own InResponseTo may be unsigned; this is not.
    if (confirmation.in_response_to or "") != expected.request_id:
        return refuse(
            "saml:request-foreign",
            expected=expected.request_id or "none",
            found=confirmation.in_response_to or "none",
        )
    return _window("SubjectConfirmation", confirmation.not_before, confirmation.not_on_or_after, login)


def subject(login: Login) -> Refusal | None:
    name_id = login.assertion.name_id
    if name_id is not None and not name_id.value:
        return refuse("saml:subject-missing", what="empty NameID")
    if not login.assertion.confirmations:
        return refuse("saml:subject-missing", what="no SubjectConfirmation")
    return None


def authentication_statement(login: Login) -> Refusal | None:
    # An attribute or authorization assertion says nothing about who sits at the browser.
    if login.assertion.authenticated_at is None:
        return refuse("saml:authentication-missing")
    end, at = login.assertion.session_not_on_or_after, login.expected.at
    # No allowance for clocks: a session that is over would send the person back to the sign-in page without a word.
    if end is not None and at >= end:
        return refuse("saml:session-over", not_on_or_after=end.isoformat(), now=at.isoformat())
    # Attack: of two ways to have signed in one rule reads the first and another the second; and a sign-out that names
    # the second one's SessionIndex would end nothing.
    if login.assertion.authentications > 1:
        found = f"{login.assertion.authentications} of them"
        return refuse("saml:several-authentications", expected="one AuthnStatement", found=found)
    return None


def authentication_asked_for(login: Login) -> Refusal | None:
    # Attack: RequestedAuthnContext and ForceAuthn travel in a query that the person's browser carries; whoever takes
    # them out, or an IdP that passes over them, must not get in by less than was asked for (core 3.3.2.2.1).
    expected, assertion = login.expected, login.assertion
    if expected.authn_contexts and assertion.authn_context not in expected.authn_contexts:
        return refuse(
            "saml:authentication-weak",
            expected=" ".join(expected.authn_contexts),
            found=assertion.authn_context or "none",
        )
    since, when = expected.authenticated_since, assertion.authenticated_at
    if since is not None and when is not None and when < since - SKEW:
        return refuse("saml:authentication-old", asked=since.isoformat(), authenticated=when.isoformat())
    return None


def attribute_limits(login: Login) -> Refusal | None:
    # Attack: 20,000 attributes cost seconds of CPU; long values fill the database.
    attributes = login.assertion.attributes
    values = [value for attribute in attributes for value in attribute.values]
    if len(attributes) > MAX_ATTRIBUTES or len(values) > MAX_VALUES:
        return refuse(
            "saml:attributes-too-many",
            expected=f"at most {MAX_ATTRIBUTES}, with {MAX_VALUES} values",
            found=f"{len(attributes)}, with {len(values)} values",
        )
    longest = max(map(len, values), default=0)
    if longest > MAX_VALUE_LENGTH:
        return refuse("saml:attribute-too-long", length=longest, limit=MAX_VALUE_LENGTH)
    return None


ENVELOPE: tuple[Callable[[Response, Expected], Refusal | None], ...] = (
    version,
    response_issuer,
    destination,
    succeeded,
)

RULES: tuple[Callable[[Login], Refusal | None], ...] = (
    assertion_version,
    assertion_issuer,
    destination_of_signed_response,
    conditions_present,
    conditions_known,
    audience,
    bearer_confirmation,
    conditions_window,
    response_age,
    assertion_age,
    unasked_age,
    subject,
    authentication_statement,
    authentication_asked_for,
    attribute_limits,
)


def one_email(emails: Iterable[tuple[str, str]]) -> Refusal | None:
    """The assertion may name one e-mail address, however often: (where it came, the address; without case)."""
    # Attack: two addresses, of which one rule reads the first and another the second.
    said: dict[str, tuple[str, str]] = {}
    for source, email in emails:
        said.setdefault(email.lower(), (source, email))
    if len(said) > 1:
        sources = " and ".join(source for source, _ in said.values())
        refusal = refuse("saml:emails-disagree", count=len(said), sources=sources)
        return replace(refusal, found=tuple(f"{source}: {email}" for source, email in said.values()))
    return None
