"""Which column of a listing is which attribute of the hub: guessed, checked, carried out. Knows no file."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any

from provisioning.attributes import LABELS as ATTRIBUTE_LABELS
from provisioning.decision.authority import ENTERPRISE_USER, profile_of_resource
from provisioning.decision.reasons import RowFault
from provisioning.fingerprints import FIELDS
from provisioning.formats import unprintable

from . import Fault, Page, Values
from .values import ACTIVE, INACTIVE, read_values, unless_archived

INVERTED = "inactive"
"""Not an attribute but the opposite of one: Google says who is suspended."""
ARCHIVED = "archived"
"""Nor is this one: whoever is archived is not active, whatever the column of one of the other two says."""
ATTRIBUTES = (*FIELDS[:3], INVERTED, ARCHIVED, *FIELDS[3:])
_STATE_LABELS = {
    "active": "active",
    INVERTED: "inactive (the opposite)",
    ARCHIVED: "archived (inactive as well)",
}
LABELS: Mapping[str, str] = {name: _STATE_LABELS.get(name) or ATTRIBUTE_LABELS[name] for name in ATTRIBUTES}

# What exports call them, without case, blanks and what stands in brackets. The first name that a listing has serves.
# Entra ID ("Download users", Graph), Okta (reports, API), Google ("Download users", Directory), SCIM, and HR exports in
# the manner of Workday and SuccessFactors.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "external_id": (
        *(
            "externalid",
            "objectid",
            "azureadobjectid",
            "oktauserid",
            "googleid",
            "uid",
            "userguid",
            "objectguid",
        ),
        *("immutableid", "personidexternal", "personid", "workerid", "wid", "userid", "id"),
    ),
    "user_name": (
        *(
            "username",
            "userprincipalname",
            "upn",
            "login",
            "userlogin",
            "oktalogin",
            "primaryemail",
            "loginname",
        ),
        *("samaccountname", "accountname", "logonname", "emailaddress", "email", "workemail", "mail"),
    ),
    "active": (
        *("active", "accountenabled", "enabled", "isactive", "userstatus", "accountstatus", "status"),
        *("activestatus", "workerstatus", "employeestatus", "employmentstatus"),
    ),
    INVERTED: ("suspended", "disabled", "blocked", "blockcredential", "issuspended", "inactive"),
    ARCHIVED: ("archived", "isarchived"),
    "email": (
        *(
            "mail",
            "email",
            "emailaddress",
            "workemail",
            "emailwork",
            "businessemail",
            "primaryemail",
            "emails",
        ),
        *("primaryworkemail", "emails.value"),
    ),
    "given_name": (
        *("givenname", "firstname", "name.givenname", "legalfirstname", "preferredfirstname", "forename"),
        "profile.firstname",
    ),
    "family_name": (
        *("surname", "lastname", "familyname", "name.familyname", "sn", "legallastname", "preferredlastname"),
        "profile.lastname",
    ),
    "display_name": (
        "displayname",
        "fullname",
        "name.fullname",
        "name.formatted",
        "preferredname",
        "workername",
        "name",
    ),
    "locale": ("locale", "preferredlanguage", "language", "defaultlocale", "usageLanguage".lower()),
    "time_zone": ("timezone", "zoneinfo"),
    "hr_number": (
        *(
            "employeeid",
            "employeenumber",
            "empid",
            "personnelnumber",
            "hrnumber",
            "staffnumber",
            "personnumber",
        ),
        "enterprise.employeenumber",
    ),
    "department": (
        "department",
        "dept",
        "departmentname",
        "organizations.department",
        "enterprise.department",
    ),
    "title": (
        "title",
        "jobtitle",
        "businesstitle",
        "employeetitle",
        "position",
        "positiontitle",
        "organizations.title",
    ),
}
_STATES = frozenset({*_NAMES["active"], *_NAMES[INVERTED], *_NAMES[ARCHIVED]})
STATE_WORDS = re.compile(
    "active|enabled|credential|status|suspended|disabled|blocked|archived", re.IGNORECASE
)
"""One of these is in every name of a column that says who is active."""
LONGEST_NAME = 256
"""Characters of a column's name."""
_BRACKETS = re.compile(r"\[[^\]]*\]|\([^)]*\)")
_LOOSE = re.compile(r"[^a-z0-9.]+")


class Wrong(ValueError):
    """What a mapping says cannot be; the message names the column and what would be right."""


@dataclass(frozen=True, kw_only=True)
class ColumnMap:
    """`columns` is attribute -> column. Of a JSON document a column is a key, or a path like `name.givenName`."""

    columns: Mapping[str, str]

    @cached_property
    def fields(self) -> list[str]:
        """What a listing says by it, in the order of FIELDS."""
        return [
            name for name in FIELDS if self._column(name) or (name == "active" and ARCHIVED in self.columns)
        ]

    @cached_property
    def places(self) -> list[int]:
        """Where they are in what is read of a row."""
        return [FIELDS.index(name) for name in self.fields]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The column of each of FIELDS; empty where none is mapped."""
        return tuple(map(self._column, FIELDS))

    @property
    def inverted(self) -> bool:
        return INVERTED in self.columns

    def _column(self, field: str) -> str:
        return self.columns.get(field, "") or (self.columns.get(INVERTED, "") if field == "active" else "")

    def reader_of(self, header: Sequence[str]) -> Callable[[int, Sequence[str]], Values | Fault]:
        """Reads (line, cells) of a table with this header."""
        # One empty cell more, for what is not mapped.
        nothing = len(header)
        pick = itemgetter(*[header.index(name) if name else nothing for name in self.names])
        names, inverted = self.names, self.inverted

        def read(line: int, cells: Sequence[str]) -> Values | Fault:
            return read_values(line, pick([*cells, ""]), names, inverted=inverted)

        archived = self.columns.get(ARCHIVED)
        if archived is None:
            return read
        place = header.index(archived)
        return lambda line, cells: unless_archived(read(line, cells), line, cells[place], archived)

    def read(self, line: int, document: Mapping[str, Any]) -> Values | Fault:
        """Reads a JSON document: a SCIM User, or any object with texts, numbers and truth values in it."""
        said = []
        for name in self.names:
            value = value_at(document, name) if name else ""
            if isinstance(value, dict | list):
                return Fault(line=line, code=RowFault.VALUE_MALFORMED, column=name)
            said.append(text_of(value))
        read = read_values(line, said, self.names, inverted=self.inverted)
        if archived := self.columns.get(ARCHIVED):
            return unless_archived(read, line, text_of(value_at(document, archived)), archived)
        return read


def page_of_documents(
    documents: Sequence[Mapping[str, Any]],
    mapping: ColumnMap,
    *,
    first_line: int,
    cursor: Any = None,
    total: int | None = None,
) -> Page:
    """What a remote listing delivered at once, as a page."""
    rows: list[tuple[int, Values]] = []
    faults: list[Fault] = []
    for line, document in enumerate(documents, first_line):
        sort(line, mapping.read(line, document), rows, faults)
    return Page(rows=rows, faults=faults, cursor=cursor, total=total)


def sort(line: int, read: Values | Fault, rows: list[tuple[int, Values]], faults: list[Fault]) -> None:
    """To the rows what could be read, to the faults what could not."""
    if isinstance(read, Fault):
        faults.append(read)
    else:
        rows.append((line, read))


def value_at(document: Mapping[str, Any], path: str) -> Any:
    """What stands at a path, or None. Of many values the best e-mail, or the primary one, or the first."""
    if path in document:
        return _one(document[path], path)
    # RFC 7644 3.10: the URN of an extension ends in a colon, and has dots in it.
    if path.startswith("urn:"):
        urn, _, rest = path.rpartition(":")
        inside = document.get(urn)
        return value_at(inside, rest) if isinstance(inside, Mapping) else None
    key, _, rest = path.partition(".")
    inside = document.get(key)
    if isinstance(inside, list):
        inside = _first(inside)
    return value_at(inside, rest) if rest and isinstance(inside, Mapping) else None


def _one(value: Any, path: str) -> Any:
    if not isinstance(value, list):
        return value
    if email := profile_of_resource({"emails": value}).email:
        return email
    first = _first(value)
    return first.get("value") if isinstance(first, Mapping) else first


def _first(values: list[Any]) -> Any:
    primary = (one for one in values if isinstance(one, Mapping) and one.get("primary") is True)
    return next(primary, values[0] if values else None)


def text_of(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)


def paths_of(document: Mapping[str, Any], depth: int = 3) -> list[str]:
    """The columns of a JSON document: what stands deeper is none."""
    found: list[str] = []
    for key, value in document.items():
        inside = _first(value) if isinstance(value, list) else value
        if isinstance(value, list) and (not isinstance(inside, Mapping) or "value" in inside):
            found.append(key)
        elif isinstance(inside, Mapping):
            if depth == 0:
                continue
            mark = ":" if key.startswith("urn:") else "."
            found += [f"{key}{mark}{path}" for path in paths_of(inside, depth - 1)]
        else:
            found.append(key)
    return found


def guess(columns: Iterable[str], samples: Sequence[Sequence[str]] = ()) -> dict[str, str]:
    """Attribute -> column by the names of known exports. `samples` are cells of some rows, by which a column that is
    named like a truth value and never holds one is passed by."""
    columns = list(columns)
    said = {
        place: {row[place] for row in samples if place < len(row) and row[place]}
        for place in range(len(columns))
    }
    named: dict[str, int] = {}
    for place, column in enumerate(columns):
        if not unprintable(column):
            named.setdefault(_plain(column), place)
    found: dict[str, str] = {}
    for attribute in (name for name in ATTRIBUTES if name in _NAMES):
        for name in _NAMES[attribute]:
            if name in named and _may_be(attribute, said[named[name]]):
                found[attribute] = columns[named[name]]
                break
    if "active" in found:
        found.pop(INVERTED, None)
    if "external_id" in found and found["external_id"] == found.get("hr_number"):
        found.pop("external_id")
    return {name: found[name] for name in ATTRIBUTES if name in found}


def names_a_state(column: str) -> bool:
    """Whether a column is called like one that says who is active."""
    return _plain(column) in _STATES


def _plain(column: str) -> str:
    column = column.lower()
    if column.startswith(f"{ENTERPRISE_USER.lower()}:"):
        return "enterprise." + column.rpartition(":")[2]
    return _LOOSE.sub("", _BRACKETS.sub("", column))


def _may_be(attribute: str, said: set[str]) -> bool:
    if attribute in ("active", INVERTED, ARCHIVED):
        # One that is sometimes unclear is mapped: it is a fault of those lines, and nobody misses the column.
        return not said or any(value.strip().lower() in ACTIVE | INACTIVE for value in said)
    if attribute == "email":
        return not said or any("@" in value for value in said)
    return True


def checked(said: Mapping[str, str], columns: Sequence[str] | None = None) -> ColumnMap:
    """The mapping, or Wrong. `columns` are those of the listing, where they are known."""
    for attribute, column in said.items():
        if attribute not in ATTRIBUTES:
            raise Wrong(f"The hub has no attribute {attribute!r}; it knows {', '.join(ATTRIBUTES)}.")
        if unprintable(column) or len(column) > LONGEST_NAME:
            raise Wrong(
                "The name of a column holds characters that cannot be read, or is too long to be one."
            )
        if columns is not None and column not in columns:
            raise Wrong(f"The listing has no column {column!r}.")
        if columns is not None and list(columns).count(column) > 1:
            raise Wrong(f"The listing has the column {column!r} more than once; rename all but one.")
    if "active" in said and INVERTED in said:
        raise Wrong("Map either active or inactive, not both.")
    if "external_id" not in said and "user_name" not in said:
        raise Wrong("Map a column to external_id or user_name: people are recognised by them.")
    return ColumnMap(columns={name: said[name] for name in ATTRIBUTES if name in said})
