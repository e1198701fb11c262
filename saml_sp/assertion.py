"""What a verified assertion says, as values. Reads only elements whose signature was checked; judges nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from lxml import etree

from provisioning.decision.quick import quick

from .message import saml, samlp
from .refusal import Refused, refuse

SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
ENTITY = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
CONDITIONS = frozenset(saml(name) for name in ("AudienceRestriction", "OneTimeUse", "ProxyRestriction"))


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class NameId:
    value: str
    format: str
    qualifier: str = ""
    sp_qualifier: str = ""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    method: str
    recipient: str | None
    in_response_to: str | None
    not_before: datetime | None
    not_on_or_after: datetime | None


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    name: str
    friendly_name: str
    values: tuple[str, ...]
    name_format: str = ""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    id: str
    version: str
    issuer: str
    issuer_format: str
    """"" for that of an entity ID."""
    issued_at: datetime
    name_id: NameId | None
    confirmations: tuple[Confirmation, ...]
    has_conditions: bool
    not_before: datetime | None
    not_on_or_after: datetime | None
    audiences: tuple[tuple[str, ...], ...]
    """One tuple per AudienceRestriction; each of them has to name us (core 2.5.1.4)."""
    unknown_conditions: tuple[str, ...]
    """Tags of conditions that core 2.5.1 does not define."""
    authentications: int
    """How many AuthnStatements there are; what follows is of the first."""
    authenticated_at: datetime | None
    authn_context: str
    """How the person was authenticated (AuthnContextClassRef); "" where it does not say."""
    session_index: str
    session_not_on_or_after: datetime | None
    attributes: tuple[Attribute, ...]


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The envelope around the assertion. Unsigned for many IdPs, so nothing is granted because of it."""

    id: str
    issuer: str
    version: str
    issued_at: datetime
    destination: str | None
    in_response_to: str | None
    status: tuple[str, ...]
    """Status codes, the outer one first."""
    status_message: str

    @property
    def succeeded(self) -> bool:
        return self.status[:1] == (SUCCESS,)


def read_response(root: etree._Element) -> Response:
    """Raises Refused for a value that is not of its type."""
    status = root.find(samlp("Status"))
    message = status.find(samlp("StatusMessage")) if status is not None else None
    return Response(
        id=root.get("ID", ""),
        issuer=_text(root.find(saml("Issuer"))),
        version=root.get("Version", ""),
        issued_at=_required_moment(root, "IssueInstant"),
        destination=root.get("Destination"),
        in_response_to=root.get("InResponseTo"),
        status=_status(root),
        status_message=_text(message),
    )


def read_assertion(element: etree._Element) -> Assertion:
    """Raises Refused for a value that is not of its type."""
    subject = element.find(saml("Subject"))
    conditions = element.find(saml("Conditions"))
    statement = element.find(saml("AuthnStatement"))
    return Assertion(
        id=element.get("ID", ""),
        version=element.get("Version", ""),
        issuer=_text(element.find(saml("Issuer"))),
        issuer_format=_issuer_format(element.find(saml("Issuer"))),
        issued_at=_required_moment(element, "IssueInstant"),
        name_id=_name_id(subject),
        confirmations=tuple(_confirmations(subject)),
        has_conditions=conditions is not None,
        not_before=_moment(conditions, "NotBefore"),
        not_on_or_after=_moment(conditions, "NotOnOrAfter"),
        audiences=tuple(
            tuple(_text(audience) for audience in restriction.iterfind(saml("Audience")))
            for restriction in (
                conditions.iterfind(saml("AudienceRestriction")) if conditions is not None else ()
            )
        ),
        unknown_conditions=tuple(
            child.tag
            for child in (conditions if conditions is not None else ())
            if child.tag not in CONDITIONS
        ),
        authentications=len(element.findall(saml("AuthnStatement"))),
        authenticated_at=_moment(statement, "AuthnInstant"),
        authn_context=_authn_context(statement),
        session_index=statement.get("SessionIndex", "") if statement is not None else "",
        # The earliest of all: with several statements none may let a session outlive another.
        session_not_on_or_after=min(
            filter(
                None,
                (_moment(each, "SessionNotOnOrAfter") for each in element.iterfind(saml("AuthnStatement"))),
            ),
            default=None,
        ),
        attributes=tuple(_attributes(element)),
    )


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutRequest:
    id: str
    version: str
    issuer: str
    issued_at: datetime
    destination: str | None
    not_on_or_after: datetime | None
    name_id: NameId
    session_indexes: tuple[str, ...]


def read_logout_request(root: etree._Element) -> LogoutRequest:
    """Raises Refused for a value that is not of its type, and for a request that names nobody."""
    name_id = _name_id(root)
    if name_id is None or not name_id.value:
        raise Refused(refuse("saml:subject-missing", what="LogoutRequest without NameID"))
    return LogoutRequest(
        id=root.get("ID", ""),
        version=root.get("Version", ""),
        issuer=_text(root.find(saml("Issuer"))),
        issued_at=_required_moment(root, "IssueInstant"),
        destination=root.get("Destination"),
        not_on_or_after=_moment(root, "NotOnOrAfter"),
        name_id=name_id,
        session_indexes=tuple(_text(index) for index in root.iterfind(samlp("SessionIndex"))),
    )


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutAnswer:
    issuer: str
    in_response_to: str
    status: tuple[str, ...]
    """Status codes, the outer one first."""

    @property
    def succeeded(self) -> bool:
        return self.status[:1] == (SUCCESS,)


def read_logout_answer(root: etree._Element) -> LogoutAnswer:
    """Raises Refused for a value that is not of its type."""
    return LogoutAnswer(
        issuer=_text(root.find(saml("Issuer"))),
        in_response_to=root.get("InResponseTo", ""),
        status=_status(root),
    )


def _status(root: etree._Element) -> tuple[str, ...]:
    status = root.find(samlp("Status"))
    return tuple(e.get("Value", "") for e in status.iter(samlp("StatusCode"))) if status is not None else ()


def _issuer_format(issuer: etree._Element | None) -> str:
    said: str = issuer.get("Format", ENTITY) if issuer is not None else ENTITY
    return "" if said == ENTITY else said


def _authn_context(statement: etree._Element | None) -> str:
    context = statement.find(saml("AuthnContext")) if statement is not None else None
    return _text(context.find(saml("AuthnContextClassRef"))) if context is not None else ""


def _text(element: etree._Element | None) -> str:
    # All text of the element: `.text` alone ends at the first child. Attack: blanks of Unicode belong to a name, so two
    # people of one IdP may differ by them; only those by which XML is laid out are none of it.
    return "".join(element.itertext()).strip(" \t\r\n") if element is not None else ""


def _moment(element: etree._Element | None, name: str) -> datetime | None:
    value = element.get(name) if element is not None else None
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
        # SAML core 1.3.3: times are UTC; one without a zone means UTC too.
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Refused(refuse("saml:malformed", what=name, found=value)) from None


def _required_moment(element: etree._Element, name: str) -> datetime:
    moment = _moment(element, name)
    if moment is None:
        raise Refused(refuse("saml:malformed", what=name, found="nothing"))
    return moment


def _name_id(subject: etree._Element | None) -> NameId | None:
    element = subject.find(saml("NameID")) if subject is not None else None
    if element is None:
        return None
    unspecified = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
    return NameId(
        value=_text(element),
        format=element.get("Format", unspecified),
        qualifier=element.get("NameQualifier", ""),
        sp_qualifier=element.get("SPNameQualifier", ""),
    )


def _confirmations(subject: etree._Element | None) -> Iterator[Confirmation]:
    for confirmation in subject.iterfind(saml("SubjectConfirmation")) if subject is not None else ():
        data = confirmation.find(saml("SubjectConfirmationData"))
        yield Confirmation(
            method=confirmation.get("Method", ""),
            recipient=data.get("Recipient") if data is not None else None,
            in_response_to=data.get("InResponseTo") if data is not None else None,
            not_before=_moment(data, "NotBefore"),
            not_on_or_after=_moment(data, "NotOnOrAfter"),
        )


def _attributes(assertion: etree._Element) -> Iterator[Attribute]:
    # Only the assertion's own statements: an Advice may carry another assertion's (pysaml2 reads those too).
    for statement in assertion.iterfind(saml("AttributeStatement")):
        for attribute in statement.iterfind(saml("Attribute")):
            values = (_text(value) for value in attribute.iterfind(saml("AttributeValue")))
            yield Attribute(
                name=attribute.get("Name", ""),
                friendly_name=attribute.get("FriendlyName", ""),
                name_format=attribute.get("NameFormat", ""),
                values=tuple(value for value in values if value),
            )
