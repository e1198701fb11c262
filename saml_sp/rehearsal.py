"""What a login would do, without doing it: every check with its verdict, what arrived, what would be decided.

Runs the rules that `sign_in` runs, but does not stop at the first that fails, and writes nothing.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from lxml import etree

from provisioning.decision.types import Change, Decision, Subject, Verdict
from provisioning.idp_metadata import Unusable, describe
from provisioning.models import Connection
from provisioning.selectors.timeline import meaning
from provisioning.services.submission import simulate_many

from . import client, presets
from .assertion import Assertion, NameId, read_assertion, read_response
from .checks import ENVELOPE, RULES, Login
from .client import Verified
from .mapping import AttributeVerdict, Reading, read_person
from .message import decode, parse, screen
from .refusal import Refusal, Refused
from .sign_in import expected_of, observation_of, rules_of

TITLES: Mapping[str, str] = {
    "message": "One readable message, in which nothing can hide",
    "version": "SAML 2.0",
    "response_issuer": "The Response is from this identity provider",
    "destination": "It was sent to this address",
    "succeeded": "The identity provider let the person in",
    "signature": "Signed by a key of the identity provider's metadata",
    "assertion_version": "The assertion, too, is SAML 2.0",
    "assertion_issuer": "The assertion is from this identity provider",
    "destination_of_signed_response": "A signed Response says where it goes",
    "conditions_present": "It has conditions",
    "conditions_known": "Every condition is one that the hub knows",
    "audience": "It is meant for this hub",
    "bearer_confirmation": "It answers the hub's request, at this address",
    "conditions_window": "It is valid now",
    "response_age": "The Response is fresh",
    "assertion_age": "The assertion is fresh",
    "unasked_age": "Unasked, it would be fresh enough",
    "subject": "It names a subject",
    "authentication_statement": "It says that somebody was authenticated",
    "authentication_asked_for": "The authentication is as strong and as new as was asked for",
    "attribute_limits": "Its attributes are within the limits",
    "schema": "It keeps to the SAML schema",
    "person": "Its attributes describe one person",
}

FOREIGN = frozenset(
    f"saml:{what}"
    for what in (
        *("issuer-missing", "issuer-foreign"),
        *("audience-missing", "audience-foreign"),
        *("confirmation-missing", "recipient-foreign", "request-foreign"),
    )
)
"""What says that an assertion was not made for this connection and this test: then nothing of it is shown."""

_CHANGES = {
    "CreateIdentity": "A person would be made.",
    "CreateAccount": "An account would be made.",
    "UpdateAccount": "The account would be refreshed.",
    "UpdateIdentity": "What the hub shows of the person would change.",
    "LinkAccount": "The account would be tied to a person who is there.",
    "PlaceHold": "The person would be held.",
    "OpenFinding": "A finding would be opened.",
}


def title_of(code: str) -> str:
    """A report of another version may name a check that this one does not know."""
    return TITLES.get(code) or code.replace("_", " ").capitalize()


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`state`: passed, failed, or not-reached, where an earlier one left nothing to judge."""

    code: str
    state: str
    reason: str = ""
    detail: Mapping[str, str] = field(default_factory=dict)
    found: tuple[str, ...] = ()
    """What of the person disagrees."""


@dataclass(slots=True)
class Report:
    """As JSON it is what a test login keeps for an hour; it holds the person's attributes."""

    checks: list[Check]
    arrived: dict[str, Any] = field(default_factory=dict)
    mapped: list[dict[str, str]] = field(default_factory=list)
    decision: dict[str, Any] = field(default_factory=dict)
    preset: dict[str, Any] = field(default_factory=dict)
    verdicts: dict[str, str] = field(default_factory=dict)
    key: str = ""
    """What would recognise the person for ever: `name-id`, `attribute`, or "" for nothing."""

    @property
    def passed(self) -> bool:
        return all(check.state == "passed" for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def rehearse(
    connection: Connection, encoded: str, *, request_id: str, asked_at: datetime, at: datetime
) -> Report:
    """Judges the IdP's answer to a test request that was sent at `asked_at`. Raises client.NotConfigured."""
    report = Report(checks=[])
    root = _message(encoded, report)
    if root is not None:
        _judge(connection, *root, request_id, asked_at, at, report)
    reached = {check.code: check for check in report.checks}
    report.checks = [
        reached.get(code) or Check(code=code, state="not-reached") for code in {**TITLES, **reached}
    ]
    return report


def _message(encoded: str, report: Report) -> tuple[bytes, etree._Element] | None:
    try:
        xml = decode(encoded)
        root = parse(xml)
        refusal = screen(root)
    except Refused as refused:
        refusal = refused.refusal
    _note(report, "message", refusal)
    return None if refusal else (xml, root)


def _judge(
    connection: Connection,
    xml: bytes,
    root: etree._Element,
    request_id: str,
    asked_at: datetime,
    at: datetime,
    report: Report,
) -> None:
    expected = expected_of(connection, request_id, at)
    if connection.force_authn:
        expected = replace(expected, authenticated_since=asked_at)
    try:
        response = read_response(root)
        for rule in ENVELOPE:
            _note(report, rule.__name__, rule(response, expected))
        verified = client.verify(connection, xml, root, request_id)
        _note(report, "signature", verified if isinstance(verified, Refusal) else None)
        if isinstance(verified, Refusal):
            return
        assertion = read_assertion(verified.assertion)
    except Refused as refused:
        _note(report, "message", refused.refusal)
        return
    login = Login(
        response=response, response_signed=verified.response_signed, assertion=assertion, expected=expected
    )
    for judged in RULES:
        _note(report, judged.__name__, judged(login))
    _note(report, "schema", verified.complaint)
    # Attack: an IdP's administrator hands his own connection an assertion that was meant for another one, to read it.
    if any(check.reason in FOREIGN for check in report.checks):
        return
    reading = read_person(assertion, rules_of(connection))
    _note(report, "person", reading.outcome if isinstance(reading.outcome, Refusal) else None)
    report.arrived = _arrived(verified, assertion)
    report.mapped = _mapped(reading)
    report.verdicts = {name: judged.verdict.value for name, judged in reading.verdicts.items()}
    report.key = _key(assertion.name_id, reading)
    report.preset = _preset(connection, assertion)
    if not isinstance(reading.outcome, Refusal):
        observation = observation_of(connection, reading.outcome, at)
        ((decision, loaded),) = simulate_many([observation])
        report.decision = _decided(decision)
        if connection.group_attribute:
            listed = loaded.policy(observation).asserted_groups.intersection(observation.groups)
            report.decision["changes"].append(_of_groups(connection, len(observation.groups), listed))


def _note(report: Report, code: str, refusal: Refusal | None) -> None:
    report.checks = [check for check in report.checks if check.code != code]
    report.checks.append(
        Check(code=code, state="failed", reason=refusal.reason, detail=refusal.detail, found=refusal.found)
        if refusal
        else Check(code=code, state="passed")
    )


def _arrived(verified: Verified, assertion: Assertion) -> dict[str, Any]:
    signed = [
        word
        for word, is_so in (("Response", verified.response_signed), ("assertion", verified.assertion_signed))
        if is_so
    ]
    return {
        "signed": " and ".join(signed),
        "encrypted": verified.encrypted,
        "issuer": assertion.issuer,
        "name_id": asdict(assertion.name_id) if assertion.name_id else None,
        "authn_context": assertion.authn_context,
        "session_index": assertion.session_index,
        "attributes": [
            {
                "name": attribute.name,
                "friendly_name": attribute.friendly_name,
                "values": list(attribute.values),
            }
            for attribute in assertion.attributes[:200]
        ],
    }


def _mapped(reading: Reading) -> list[dict[str, str]]:
    return [
        {
            "attribute": attribute,
            "value": judged.value,
            "source": judged.source,
            "verdict": judged.verdict.value,
        }
        for attribute, judged in reading.verdicts.items()
        if judged.source or attribute in reading.asked
    ]


def _key(name_id: NameId | None, reading: Reading) -> str:
    # What is no name (`null`, `0`) is nobody's, in whatever format.
    lasting = reading.verdicts["name_id"].value
    if name_id and lasting and Subject(issuer="", format=name_id.format, value=lasting).is_key:
        return "name-id"
    return "attribute" if reading.verdicts["external_id"].verdict is AttributeVerdict.OK else ""


def _preset(connection: Connection, assertion: Assertion) -> dict[str, Any]:
    sign_on = _sign_on(connection)
    preset = presets.recognise(assertion, connection.idp_entity_id, sign_on)
    if preset is None:
        return {}
    proposed = presets.proposal(preset, assertion)
    return {
        "code": preset.code,
        "title": preset.title,
        "advice": preset.advice,
        "marks": list(presets.evidence(preset, assertion, connection.idp_entity_id, sign_on)),
        # What an administrator chose is never emptied because this product knows nothing better.
        "changes": {
            name: value for name, value in proposed.items() if value and getattr(connection, name) != value
        },
    }


def _sign_on(connection: Connection) -> str:
    try:
        return next(iter(describe(connection.idp_metadata).sign_in), "")
    except Unusable:
        return ""


def _decided(decision: Decision) -> dict[str, Any]:
    return {
        "verdict": decision.verdict.value,
        "admitted": decision.verdict in (Verdict.APPLIED, Verdict.UNCHANGED),
        "situation": decision.situation.value,
        "reason": decision.reason,
        "meaning": meaning(decision.reason),
        "detail": {name: str(value) for name, value in decision.detail.items()},
        "changes": list(dict.fromkeys(filter(None, map(_told, decision.changes)))),
    }


def _of_groups(connection: Connection, number: int, listed: Collection[str]) -> str:
    """What the account would keep of its groups."""
    names = f": {', '.join(sorted(listed))}" if listed else ""
    return f"Of {number} groups in {connection.group_attribute}, {len(listed)} would be kept{names}."


def _told(change: Change) -> str:
    return _CHANGES.get(type(change).__name__, "")
