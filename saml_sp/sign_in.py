"""The order of a login: verify, check, consume, submit, session. Knows no page; each step knows its own rules."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import structlog
from django.http import HttpRequest
from lxml import etree
from prometheus_client import Counter

from identity_hub.core.client_address import address_of, network_of
from identity_hub.core.clock import now
from identity_hub.core.request_id import current_request_id
from provisioning import addresses
from provisioning.decision.reasons import Reason
from provisioning.decision.types import Actor, Channel, Intent, Observation, Outcome
from provisioning.models import Connection
from provisioning.services import contradictions, sessions
from provisioning.services.submission import retrying, submit_within
from provisioning.sessions import SessionStore

from . import browser, client, limits, memory
from .assertion import Assertion, Response, read_assertion, read_response
from .checks import MAX_AGE_UNASKED, MAX_WINDOW, SKEW, Expected, Login, envelope, judge
from .mapping import Person, Rules, read_person
from .message import decode, parse, screen
from .models import ConsumedAssertion, LoginAttempt, PendingRequest
from .refusal import Refusal, Refused, refuse

PENDING_LIFE = timedelta(minutes=10)
_log = structlog.get_logger("saml_sp.sign_in")
# No label names a tenant: whoever reads the metrics need not know who its customers are.
_ended = Counter("hub_logins_total", "How logins through identity providers ended.", ["outcome", "reason"])

DOUBLE_CLICK = timedelta(seconds=30)
"""How long the same message of the same browser is the echo of one click."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an answer of the IdP ended: `path` is where to go, "" when the login was refused."""

    reason: str
    reference: str
    path: str = ""
    wanted: str = ""
    """Where a new beginning would lead, as far as it is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Believed:
    """An answer that passed every check which needs no memory. `pending` is None where nobody had asked."""

    pending: PendingRequest | None
    next_path: str
    assertion: Assertion
    person: Person | Refusal
    """A refusal where the assertion contradicts itself about who it is."""
    verdicts: Mapping[str, Mapping[str, str]]
    message_digest: bytes
    browser_digest: bytes


def begin(connection: Connection, *, binding: str, next_path: str) -> client.Outgoing:
    """Asks the IdP, and remembers what was asked. Raises client.NotConfigured."""
    request = client.start_login(connection)
    at = now()
    PendingRequest.objects.create(
        tenant_id=connection.tenant_id,
        connection=connection,
        request_id=request.id,
        browser_digest=browser.digest(binding),
        next_path=next_path,
        created_at=at,
        expires_at=at + PENDING_LIFE,
    )
    return request


def finish(request: HttpRequest, connection: Connection, encoded: str, relay_state: str = "") -> Ending:
    """Judges the IdP's answer; a believed and admitted one leaves a session on the request.

    `relay_state` says where to go only after an answer that nobody asked for. Raises client.NotConfigured,
    django.db.OperationalError.
    """
    at = now()
    believed = _believe(request, connection, encoded, relay_state, at)
    if isinstance(believed, Refusal):
        return replace(note(request, connection, believed), wanted=believed.wanted)
    ending = retrying(partial(_spend, request, connection, believed, at))
    return replace(ending, wanted=believed.next_path)


def note(request: HttpRequest, connection: Connection | None, refusal: Refusal) -> Ending:
    """Writes a refusal into the login log. Of an address that fails all the time not every one is written."""
    _ended.labels(outcome=LoginAttempt.Outcome.REFUSED, reason=refusal.reason).inc()
    if not limits.may_note(address_of(request)):
        _log.warning(
            "login:not-noted", reason=refusal.reason, connection=str(connection.pk) if connection else ""
        )
        return Ending(reason=refusal.reason, reference="")
    attempt = _attempt(request, connection, refusal.reason, admitted=False)
    attempt.detail, attempt.verdicts = dict(refusal.detail), dict(refusal.verdicts)
    attempt.message = refusal.message
    if connection is not None and refusal.found:
        attempt.audit_id = contradictions.note(
            connection=connection, reason=refusal.reason, detail=refusal.detail, found=refusal.found
        )
    attempt.save(force_insert=True)
    _log_attempt(attempt)
    return Ending(reason=refusal.reason, reference=attempt.reference)


def _believe(
    request: HttpRequest, connection: Connection, encoded: str, relay_state: str, at: datetime
) -> _Believed | Refusal:
    try:
        xml = decode(encoded)
        root = parse(xml)
        if refusal := screen(root):
            return refusal
        response = read_response(root)
        expected = expected_of(connection, response.in_response_to or "", at)
        if refusal := envelope(response, expected):
            cancelled = refusal.reason == "saml:idp-refused"
            return replace(refusal, wanted=_own_wish(request, connection, response)) if cancelled else refusal
        pending = _pending(request, connection, response, at)
        if isinstance(pending, Refusal):
            return pending
        if connection.force_authn:
            since = pending.created_at if pending is not None else at - MAX_AGE_UNASKED
            expected = replace(expected, authenticated_since=since)
        assertion = _verified(connection, xml, root, response, expected)
        if isinstance(assertion, Refusal):
            return replace(assertion, wanted=pending.next_path if pending else "")
    except Refused as refused:
        return refused.refusal
    reading = read_person(assertion, rules_of(connection))
    return _Believed(
        pending=pending,
        next_path=pending.next_path if pending else browser.own_path(relay_state),
        assertion=assertion,
        person=reading.outcome,
        verdicts=reading.record(),
        message_digest=hashlib.sha256(xml).digest(),
        browser_digest=browser.digest(browser.binding_of(request)),
    )


def expected_of(connection: Connection, request_id: str, at: datetime) -> Expected:
    """What an answer to this request ("": to none) has to say at this connection."""
    return Expected(
        sp=addresses.saml_metadata(connection.id),
        acs=addresses.saml_acs(connection.id),
        idp=connection.idp_entity_id,
        request_id=request_id,
        at=at,
        authn_contexts=tuple(connection.authn_contexts),
    )


def rules_of(connection: Connection) -> Rules:
    return Rules(
        attribute_map=connection.attribute_map,
        user_name_attribute=connection.user_name_attribute,
        external_id_attribute=connection.external_id_attribute,
        group_attribute=connection.group_attribute,
        attribute_rules=connection.attribute_rules,
        required=connection.required_attributes,
        limits=tuple(connection.jit_attributes),
    )


def _pending(
    request: HttpRequest, connection: Connection, response: Response, at: datetime
) -> PendingRequest | Refusal | None:
    if not response.in_response_to:
        # Attack: login CSRF. The attacker's own answer, posted by the victim's browser, signs the victim in as him.
        return None if connection.idp_initiated else refuse("saml:unsolicited")
    pending = memory.pending_request(connection, response.in_response_to)
    if pending is None:
        # Also the answer to another tenant's request: requests are looked up inside their connection.
        return refuse("saml:request-unknown", in_response_to=response.in_response_to)
    # Attack: a stolen answer in another browser, or the victim's browser made to answer the attacker's request.
    if not _asked_by(request, pending):
        found = "another browser" if browser.binding_of(request) else "no cookie"
        foreign = refuse("saml:browser-foreign", expected="the browser that asked", found=found)
        # Two tabs of one browser that began at once have the cookie of one of them: the other may start again.
        return replace(foreign, wanted=pending.next_path)
    if pending.expires_at <= at:
        expired = refuse("saml:request-expired", expired=pending.expires_at.isoformat(), now=at.isoformat())
        return replace(expired, wanted=pending.next_path)
    return pending


def _own_wish(request: HttpRequest, connection: Connection, response: Response) -> str:
    """Where this browser wanted to go by the request that is answered; "" where it has not asked."""
    if not response.in_response_to:
        return ""
    pending = memory.pending_request(connection, response.in_response_to)
    # Attack: nothing is signed yet. Whoever names another's request is not told where she was going.
    return pending.next_path if pending and _asked_by(request, pending) else ""


def _asked_by(request: HttpRequest, pending: PendingRequest) -> bool:
    """Whether it was this browser that began the login."""
    return bytes(pending.browser_digest) == browser.digest(browser.binding_of(request))


def _verified(
    connection: Connection, xml: bytes, root: etree._Element, response: Response, expected: Expected
) -> Assertion | Refusal:
    verified = client.verify(connection, xml, root, expected.request_id)
    if isinstance(verified, Refusal):
        return verified
    assertion = read_assertion(verified.assertion)
    login = Login(
        response=response, response_signed=verified.response_signed, assertion=assertion, expected=expected
    )
    refusal = judge(login) or verified.complaint
    return replace(refusal, message=_key(assertion).hex()) if refusal else assertion


def _key(assertion: Assertion) -> bytes:
    return hashlib.sha256(f"{assertion.issuer}\0{assertion.id}".encode()).digest()


def _spend(request: HttpRequest, connection: Connection, believed: _Believed, at: datetime) -> Ending:
    """Uses up the assertion and the request, then asks the domain. One transaction."""
    consumed = ConsumedAssertion(
        tenant_id=connection.tenant_id,
        connection=connection,
        key=_key(believed.assertion),
        message_digest=believed.message_digest,
        browser_digest=believed.browser_digest,
        created_at=at,
        expires_at=_forgettable_at(believed.assertion),
    )
    turned_away = isinstance(believed.person, Refusal)
    # Consumed before the session exists: a replayed answer must lose even in a race. One that says two things of a
    # person is told to the audit once, however often it comes; the IdP may answer the same request better.
    answers = believed.pending.pk if believed.pending and not turned_away else None
    spent = memory.spend(consumed, answers)
    if not spent.assertion:
        return _echo(request, connection, consumed.key, believed, at)
    if isinstance(believed.person, Refusal):
        return _turn_away(request, connection, believed.person, believed, consumed)
    if believed.pending is not None and not spent.request:
        return note(request, connection, replace(refuse("saml:request-used"), message=consumed.key.hex()))
    outcome = submit_within(observation_of(connection, believed.person, at))
    return _enter(request, connection, believed, outcome, consumed)


def _turn_away(
    request: HttpRequest,
    connection: Connection,
    refusal: Refusal,
    believed: _Believed,
    consumed: ConsumedAssertion,
) -> Ending:
    told = replace(refusal, verdicts=believed.verdicts, message=consumed.key.hex())
    ending = note(request, connection, told)
    ConsumedAssertion.objects.filter(tenant_id=connection.tenant_id, pk=consumed.pk).update(
        attempt_reference=ending.reference
    )
    return ending


def _forgettable_at(assertion: Assertion) -> datetime:
    # No end that the checks let pass is later. Another confirmation, which counts for nothing, may name any.
    return assertion.issued_at + MAX_WINDOW + 2 * SKEW


def _echo(
    request: HttpRequest,
    connection: Connection,
    key: bytes,
    believed: _Believed,
    at: datetime,
) -> Ending:
    """The second half of a double click ends where the first did; everything else is a replay."""
    winner = ConsumedAssertion.objects.get(tenant_id=connection.tenant_id, connection=connection, key=key)
    same_click = (
        # Attack: nothing tells two browsers apart that did not ask.
        believed.pending is not None
        and bytes(winner.message_digest) == believed.message_digest
        and bytes(winner.browser_digest) == believed.browser_digest
        and at - winner.created_at <= DOUBLE_CLICK
    )
    if not same_click:
        replayed = refuse("saml:replayed", first_used=winner.created_at.isoformat(), now=at.isoformat())
        return note(request, connection, replace(replayed, message=key.hex()))
    attempt = LoginAttempt.objects.filter(
        tenant_id=connection.tenant_id, reference=winner.attempt_reference
    ).first()
    reason = attempt.reason if attempt else "saml:replayed"
    if not winner.result_path:
        return Ending(reason=reason, reference=winner.attempt_reference)
    session = SessionStore(session_key=winner.session_key)
    if session.is_empty() or not session.exists(winner.session_key):
        ended = refuse("saml:replayed", session="ended")
        return note(request, connection, replace(ended, message=key.hex()))
    # The browser may have thrown the first answer away, cookie and all.
    session.modified = True
    request.session = session
    return Ending(reason=reason, reference=winner.attempt_reference, path=winner.result_path)


def observation_of(connection: Connection, person: Person, at: datetime) -> Observation:
    """What the domain is told of a person who comes with a believed assertion."""
    return Observation(
        channel=Channel.SAML,
        intent=Intent.AUTHENTICATE,
        tenant_id=connection.tenant_id,
        connection_id=connection.id,
        at=at,
        actor=Actor(kind="connection", id=str(connection.id)),
        request_id=current_request_id(),
        user_name=person.user_name,
        external_id=person.external_id,
        subject=person.subject,
        login_names=person.login_names,
        emails=person.emails,
        groups=person.groups,
        attributes=person.attributes,
        profile=person.profile,
        faults=person.faults,
        disbelieved=person.disbelieved,
    )


def _enter(
    request: HttpRequest,
    connection: Connection,
    believed: _Believed,
    outcome: Outcome,
    consumed: ConsumedAssertion,
) -> Ending:
    reason, admitted = outcome.reason, False
    if outcome.accepted and outcome.identity_id and outcome.account_id:
        admitted = sessions.open(
            request,
            connection=connection,
            identity_id=outcome.identity_id,
            account_id=outcome.account_id,
            session_index=believed.assertion.session_index,
            name_id=asdict(believed.assertion.name_id) if believed.assertion.name_id else None,
            not_on_or_after=believed.assertion.session_not_on_or_after,
        )
        reason = outcome.reason if admitted else Reason.LOGIN_IDENTITY_HELD.value
    attempt = _attempt(request, connection, reason, admitted=admitted)
    _ended.labels(outcome=attempt.outcome, reason=reason).inc()
    attempt.detail = {name: str(value) for name, value in outcome.detail.items()}
    attempt.verdicts = dict(believed.verdicts)
    attempt.account_id, attempt.identity_id = outcome.account_id, outcome.identity_id
    attempt.audit_id = outcome.audit_id
    attempt.message = consumed.key.hex()
    consumed.attempt_reference = attempt.reference
    if admitted:
        consumed.result_path, consumed.session_key = believed.next_path, request.session.session_key
    memory.keep(attempt, consumed)
    _log_attempt(attempt)
    return Ending(reason=reason, reference=attempt.reference, path=consumed.result_path)


def _attempt(
    request: HttpRequest, connection: Connection | None, reason: str, *, admitted: bool
) -> LoginAttempt:
    return LoginAttempt(
        tenant_id=connection.tenant_id if connection else None,
        connection=connection,
        outcome=LoginAttempt.Outcome.ADMITTED if admitted else LoginAttempt.Outcome.REFUSED,
        reason=reason,
        network=network_of(request),
        request_id=current_request_id(),
    )


def _log_attempt(attempt: LoginAttempt) -> None:
    _log.info(
        f"login:{attempt.outcome}",
        reason=attempt.reason,
        reference=attempt.reference,
        connection=str(attempt.connection_id or ""),
        identity=str(attempt.identity_id or ""),
    )
