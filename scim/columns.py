"""Where SQL finds each attribute of a resource. Knows no filter, no order and no request.

What has a column is read from it; what a membership says is read from there; everything else is in the stored
JSON. All SQL here is made of names: of the hub's own tables, and of the schema's attributes, quoted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache

from scim.schemas import GROUP, USER, Attribute, ResourceKind

KINDS_KEPT = 512

FOLDED = "hub_lower({})"
"""Lower case as Python's `str.lower()` has it, whatever the database's own collation is."""
EXACT = '({}) COLLATE "C"'
"""In the order of code points."""


class Form(Enum):
    JSON = "jsonb, of the attribute's type"
    TEXT = "text as it was sent"
    KEY = "text that was folded before it was stored"
    ID = "uuid"
    BOOLEAN = "boolean"
    INSTANT = "timestamptz, shown to clients in milliseconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One value: `sql` in its own form, `text` as text, `present` whether it is there; `always`, that it is not null.

    `looked_up` says that an index serves equality, `ordered` that one serves ranges, and the order of all rows too
    where the value is there `always`; `searched`, that the row's search index has a key for it
    (`provisioning.search`).
    """

    form: Form
    sql: str
    text: str
    present: str = "true"
    always: bool = False
    looked_up: bool = False
    ordered: bool = False
    searched: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The elements of an attribute that is derived: `source` begins with FROM and ends with a condition."""

    source: str
    element: "Holder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """What has attributes: a row, a complex value, an element. Keyed by lower-case name; the rest is in `json`."""

    json: str = ""
    searched: bool = False
    places: Mapping[str, Place] = field(default_factory=dict)
    inner: "Mapping[str, Holder]" = field(default_factory=dict)
    derived: Mapping[str, Rows] = field(default_factory=dict)
    itself: Place | None = None

    def place(self, attribute: Attribute) -> Place | None:
        """Where its value is; None where SQL has none."""
        found = self.places.get(attribute.name.lower())
        if found is None and self.json:
            name = literal(attribute.name)
            return self._json(f"{self.json} -> {name}", f"{self.json} ->> {name}")
        return found

    def inside(self, attribute: Attribute) -> "Holder":
        """The sub-attributes of a single complex value."""
        found = self.inner.get(attribute.name.lower())
        return found or Holder(json=f"{self.json} -> {literal(attribute.name)}", searched=self.searched)

    def elements(self, attribute: Attribute, depth: int) -> Rows:
        """The elements of a multi-valued attribute; `depth` tells those of an element from its own."""
        if found := self.derived.get(attribute.name.lower()):
            return found
        element = f"e{depth}.value"
        # A lax path takes what is no list as a list of one: an attribute may have been single once.
        return Rows(
            source=f"FROM jsonb_path_query({self.json} -> {literal(attribute.name)}, '$[*]') "
            f"AS e{depth}(value) WHERE true",
            element=Holder(
                json=element, searched=self.searched, itself=self._json(element, f"{element} #>> '{{}}'")
            ),
        )

    def leading(self, attribute: Attribute, sub: Attribute | None) -> Place | None:
        """The primary element, or else the first one, or that element's sub-attribute. None where it is derived."""
        if attribute.name.lower() in self.derived:
            return None
        elements = f"{self.json} -> {literal(attribute.name)}"
        first = f"jsonb_path_query_first({elements}, '$[*]')"
        if sub is None:
            return self._json(first, f"{first} #>> '{{}}'")
        primary = f"jsonb_path_query_first({elements}, '$[*] ? (@.primary == true)')"
        return Holder(json=f"COALESCE({primary}, {first})").place(sub)

    def _json(self, sql: str, text: str) -> Place:
        return Place(
            form=Form.JSON,
            sql=f"({sql})",
            text=f"({text})",
            present=f"({sql}) IS NOT NULL",
            searched=self.searched,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """How one kind of resource is stored; `alias` is its table's."""

    alias: str
    row: Holder

    def held(self, extension: str) -> Holder:
        """The attributes of an extension."""
        return Holder(json=f"{self.row.json} -> {literal(extension)}", searched=self.row.searched)


def literal(text: str) -> str:
    """A string constant of SQL, in a statement whose parameters are written %s."""
    return "'" + text.replace("'", "''").replace("%", "%%") + "'"


@lru_cache(maxsize=KINDS_KEPT)
def table_of(kind: ResourceKind) -> Table:
    """The table of a kind: accounts as `a`, directory groups as `g`, everything else data resources as `d`."""
    if kind.name == USER.name:
        return _table(
            "a",
            kind,
            places={
                "username": _key("a.user_name_key", ordered=True),
                "active": _ACTIVE,
            },
            derived={"groups": _GROUPS_OF_ACCOUNT},
        )
    if kind.name == GROUP.name:
        return _table(
            "g",
            kind,
            places={"displayname": _key("g.display_name_key")},
            derived={"members": _MEMBERS_OF_GROUP},
        )
    return _table("d", kind, places={}, derived={})


def _table(alias: str, kind: ResourceKind, places: Mapping[str, Place], derived: Mapping[str, Rows]) -> Table:
    meta = {
        "resourcetype": _text(literal(kind.name) + "::text"),
        "created": _instant(f"{alias}.created_at"),
        "lastmodified": _instant(f"{alias}.updated_at", ordered=alias == "a"),
        "version": _text(f"('W/\"' || {alias}.version || '\"')"),
    }
    common = {"id": _id(f"{alias}.id"), "externalid": _external_id(alias)}
    urns = ", ".join(literal(urn) for urn in (kind.urn, *(one.urn for one in kind.extensions.values())))
    schemas = Rows(
        source=f"FROM unnest(ARRAY[{urns}]::text[]) AS s(urn) "
        f"WHERE (s.urn = {literal(kind.urn)} OR {alias}.resource ? s.urn)",
        element=Holder(itself=_text("s.urn")),
    )
    return Table(
        alias=alias,
        row=Holder(
            json=f"{alias}.resource",
            searched=alias == "a",
            places={**common, **places, "meta": _text("'{}'::text")},
            inner={"meta": Holder(places=meta)},
            derived={**derived, "schemas": schemas},
        ),
    )


def number_of(place: Place) -> str:
    """Its value as numeric; null where the JSON holds something else, from before the schema changed."""
    return f"CASE jsonb_typeof({place.sql}) WHEN 'number' THEN {place.sql}::numeric END"


def instant_of(place: Place) -> str:
    """Its value as timestamptz; null where the text is none that PostgreSQL reads."""
    text = place.text
    return f"CASE WHEN pg_input_is_valid({text}, 'timestamptz') THEN {text}::timestamptz END"


def _text(sql: str) -> Place:
    return Place(form=Form.TEXT, sql=sql, text=sql, always=True)


def _external_id(alias: str) -> Place:
    sql = f"{alias}.external_id"
    return Place(
        form=Form.TEXT,
        sql=sql,
        text=sql,
        present=f"{sql} IS NOT NULL",
        looked_up=True,
        ordered=alias == "a",
    )


def _key(sql: str, *, ordered: bool = False) -> Place:
    return Place(form=Form.KEY, sql=sql, text=sql, always=True, looked_up=True, ordered=ordered)


def _id(sql: str) -> Place:
    return Place(form=Form.ID, sql=sql, text=f"{sql}::text", always=True, looked_up=True, ordered=True)


def _instant(sql: str, *, ordered: bool = False) -> Place:
    return Place(form=Form.INSTANT, sql=sql, text=f"{sql}::text", always=True, ordered=ordered)


# What the connection last said, unless a PATCH removed it from the document.
_ACTIVE = Place(
    form=Form.BOOLEAN,
    sql="(CASE WHEN a.resource ? 'active' THEN a.active END)",
    text="(CASE WHEN a.resource ? 'active' THEN a.active END)::text",
    present="a.resource ? 'active'",
)
_MEMBERS_OF_GROUP = Rows(
    source="FROM provisioning_membership m JOIN provisioning_account ma "
    "ON ma.tenant_id = m.tenant_id AND ma.id = m.account_id AND ma.deleted_at IS NULL "
    "WHERE m.tenant_id = g.tenant_id AND m.group_id = g.id",
    element=Holder(
        places={
            "value": _id("m.account_id"),
            "display": _text("ma.user_name"),
            "type": _text("'User'::text"),
        }
    ),
)
_GROUPS_OF_ACCOUNT = Rows(
    source="FROM provisioning_membership m JOIN provisioning_directorygroup mg "
    "ON mg.tenant_id = m.tenant_id AND mg.id = m.group_id "
    "WHERE m.tenant_id = a.tenant_id AND m.account_id = a.id",
    element=Holder(
        places={
            "value": _id("m.group_id"),
            "display": _text("mg.display_name"),
            "type": _text("'direct'::text"),
        }
    ),
)
