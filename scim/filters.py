"""A filter as a condition in SQL (RFC 7644 3.4.2.2). Knows no tenant: whoever runs it adds theirs.

A term that cannot be compiled refuses the whole filter, so a filter never means more than it says. It is
compiled before anything is looked up: a wrong name is refused on an empty table too.

What a term means is what scim2-models' in-memory evaluation makes of it: a comparison of a multi-valued attribute
holds where any element's does; `ne` is the negation of `eq`, so it holds where the attribute is absent; null is
the absent attribute. The one departure: an absent `primary` is false (RFC 7643 2.4).
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from scim2_models.exceptions import InvalidFilterException
from scim2_models.path import (
    AttrPath,
    CompareOperator,
    Comparison,
    FilterNode,
    FilterVisitor,
    LogicalExpr,
    LogicalOperator,
    Not,
    Present,
    ScimFilter,
    ValuePath,
)

from provisioning.decision.keys import fold
from provisioning.search import search_key
from provisioning.selectors.conditions import Condition
from scim.columns import EXACT, FOLDED, Form, Holder, Place, Table, instant_of, number_of, table_of
from scim.documents import storable
from scim.filter_limits import LITERAL, MAX_TERMS, demand_flat, demand_short, parsing, too_many_terms
from scim.identifiers import identifier
from scim.schemas import Attribute, ResourceKind
from scim.selection import operand

# Inside a quoted string nothing is touched; after an operator, whatever is no literal becomes one.
_UNQUOTED = re.compile(
    r'("(?:[^"\\]|\\.)*+(?:"|\\?\Z))|(\s(?:eq|ne|co|sw|ew|gt|ge|lt|le)\s+)'
    r"(?!(?:true|false|null)(?:[\s)\]]|$))([^\s()\[\]\"]+)",
    re.IGNORECASE,
)

_EQUAL = frozenset({CompareOperator.eq, CompareOperator.ne})
_SIGNS: Mapping[CompareOperator, str] = {
    CompareOperator.eq: "=",
    CompareOperator.gt: ">",
    CompareOperator.ge: ">=",
    CompareOperator.lt: "<",
    CompareOperator.le: "<=",
}
_FITTING: Mapping[str, frozenset[CompareOperator]] = {
    # RFC 7644 3.4.2.2: "Boolean and Binary attributes SHALL cause a failed response (HTTP status code 400)"
    # for the operators of order. Those of text mean nothing for what is no text.
    "boolean": _EQUAL,
    "binary": _EQUAL,
    "integer": _EQUAL | _SIGNS.keys(),
    "decimal": _EQUAL | _SIGNS.keys(),
    "dateTime": _EQUAL | _SIGNS.keys(),
}
_EVERY = frozenset(CompareOperator)
# Clients read instants in milliseconds, and ask for what they read.
_TICK = timedelta(milliseconds=1)
# Shorter beginnings are those of half of everybody.
_TELLING = 3


def compile_filter(kind: ResourceKind, text: str) -> Condition:
    """The condition that a filter means for this kind of resource. InvalidFilter where any part has none,
    TooMany where it says too much.
    """
    table = table_of(kind)
    node = parsed(text)
    term = _settled(_Row(kind, table).visit(node))
    return Condition(term.text, term.parameters, scans=term.scans, plain=not term.scans and _is_plain(node))


def _is_plain(node: FilterNode) -> bool:
    """One comparison by eq, or two of them joined by `and`, as Entra asks for a member of a group."""
    if isinstance(node, LogicalExpr):
        return (
            node.op is LogicalOperator.and_
            and len(node.terms) == 2
            and all(_is_look_up(term) for term in node.terms)
        )
    return _is_look_up(node)


def _is_look_up(node: FilterNode) -> bool:
    if isinstance(node, ValuePath):
        return _is_plain(node.val_filter)
    return isinstance(node, Comparison) and node.op is CompareOperator.eq


def parsed(text: str) -> FilterNode:
    """The syntax tree. An unquoted word after an operator is a string: Entra's own tutorial sends that."""
    demand_short(text)
    try:
        return _parsed(text)
    except InvalidFilterException:
        quoted = _UNQUOTED.sub(_quoted, text)
        if quoted == text:
            raise
        return _parsed(quoted)


def _parsed(text: str) -> FilterNode:
    """The parser keeps the trees of the last thousand texts, so it gets the shape without the strings."""
    strings: list[str] = []

    def numbered(found: re.Match[str]) -> str:
        strings.append(json.loads(found[0]) if "\\" in found[1] else found[1])
        return f'"{len(strings) - 1}"'

    shape = LITERAL.sub(numbered, text)
    demand_flat(shape)
    with parsing():
        tree = ScimFilter(shape).ast
    return _Filled(strings).visit(tree)


class _Filled(FilterVisitor[FilterNode]):
    """A shape with its strings."""

    def __init__(self, strings: Sequence[str]) -> None:
        self.strings = strings

    def visit_comparison(self, node: Comparison) -> FilterNode:
        if not isinstance(node.value, str):
            return node
        return Comparison(node.attr_path, node.op, self.strings[int(node.value)])

    def visit_present(self, node: Present) -> FilterNode:
        return node

    def visit_not(self, node: Not) -> FilterNode:
        return Not(self.visit(node.expr))

    def visit_logical_expr(self, node: LogicalExpr) -> FilterNode:
        return LogicalExpr(node.op, tuple(self.visit(term) for term in node.terms))

    def visit_value_path(self, node: ValuePath) -> FilterNode:
        return ValuePath(node.attr_path, self.visit(node.val_filter))


def _quoted(found: re.Match[str]) -> str:
    return found[1] or f"{found[2]}{ScimFilter.quote(found[3])}"


@dataclass(frozen=True, slots=True)
class _Term:
    """A condition on its way: `words` and `emails` are what a row must have in its indexes for it to hold."""

    text: str
    parameters: tuple[Any, ...] = ()
    scans: bool = True
    words: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()


def _settled(term: _Term) -> _Term:
    """With what narrows the search written out: the e-mails, which nearly nobody shares, or else the words.

    It is said twice. Planned without its values, one such condition is taken to leave every two-hundredth row, and
    then the plan reads the whole connection beside it; two leave next to none.
    """
    key: str | list[str]
    if term.emails:
        narrowing, key = "a.email_keys @> %s::varchar[]", list(term.emails)
    elif term.words:
        narrowing, key = "a.search @@ %s::tsquery", " & ".join(term.words)
    else:
        return term
    text = f"({narrowing} AND {narrowing} AND {term.text})"
    return _Term(text, (key, key, *term.parameters), term.scans)


def _negated(term: _Term) -> _Term:
    # Of an absent attribute a comparison says null, which a plain NOT would leave as it is.
    return _Term(f"({term.text}) IS NOT TRUE", term.parameters)


def _all(terms: Sequence[_Term]) -> _Term:
    return _Term(
        "(" + " AND ".join(term.text for term in terms) + ")",
        tuple(value for term in terms for value in term.parameters),
        all(term.scans for term in terms),
        tuple(word for term in terms for word in term.words),
        tuple(email for term in terms for email in term.emails),
    )


def _any(terms: Sequence[_Term]) -> _Term:
    return _Term(
        "(" + " OR ".join(term.text for term in terms) + ")",
        tuple(value for term in terms for value in term.parameters),
        any(term.scans for term in terms),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    """What a path in a filter means: `chain` leads from `holder` to the value."""

    path: str
    """Its name in errors, and in lower case its path in the search index."""
    holder: Holder
    chain: tuple[Attribute, ...]

    @property
    def attribute(self) -> Attribute:
        return self.chain[-1]

    def refused(self, why: str) -> InvalidFilterException:
        return InvalidFilterException(detail=f"{self.path}: {why}")

    def shown(self) -> "_Named":
        """Itself. Guess by guess a filter would tell what is never shown; RFC 7643 7 leaves that to the server."""
        if any(one.returned == "never" or one.mutability == "writeOnly" for one in self.chain):
            raise self.refused("this attribute cannot be filtered by.")
        return self

    def matching(self, test: Callable[[Place], _Term], depth: int) -> _Term:
        """That the test holds for the value, or for any of the values."""
        return self._matching(self.holder, self.chain, test, depth)

    def _matching(
        self, holder: Holder, chain: tuple[Attribute, ...], test: Callable[[Place], _Term], depth: int
    ) -> _Term:
        attribute, rest = chain[0], chain[1:]
        if attribute.multi_valued:
            rows = holder.elements(attribute, depth)
            if rest:
                inner = self._matching(rows.element, rest, test, depth + 1)
            else:
                inner = test(self._found(rows.element.itself))
            return replace(inner, text=f"EXISTS (SELECT {rows.source} AND {inner.text})")
        if rest:
            return self._matching(holder.inside(attribute), rest, test, depth)
        return test(self._found(holder.place(attribute)))

    def present(self, depth: int) -> str:
        """RFC 7644 3.4.2.2: "has a non-empty or non-null value"; the stored document holds no other."""
        return self._present(self.holder, self.chain, depth)

    def _present(self, holder: Holder, chain: tuple[Attribute, ...], depth: int) -> str:
        attribute, rest = chain[0], chain[1:]
        if rest and not attribute.multi_valued:
            return self._present(holder.inside(attribute), rest, depth)
        if not rest and attribute.name.lower() not in holder.derived:
            return self._found(holder.place(attribute)).present
        rows = holder.elements(attribute, depth)
        inner = self._present(rows.element, rest, depth + 1) if rest else "true"
        return f"EXISTS (SELECT {rows.source} AND {inner})"

    def absent(self, depth: int) -> str:
        """That it is null: of elements, that some element lacks it, or that there is none."""
        if len(self.chain) == 2 and self.chain[0].multi_valued:
            rows = self.holder.elements(self.chain[0], depth)
            lacking = self._present(rows.element, self.chain[1:], depth + 1)
            whole = self._present(self.holder, self.chain[:1], depth)
            return f"(NOT ({whole}) OR EXISTS (SELECT {rows.source} AND NOT ({lacking})))"
        return f"NOT ({self.present(depth)})"

    def _found(self, place: Place | None) -> Place:
        if place is None:
            raise self.refused("this attribute cannot be filtered by.")
        return place


class _Compiler(FilterVisitor[_Term]):
    """What rows and elements have in common. Counts the terms of a whole filter."""

    depth = 1

    def __init__(self, kind: ResourceKind, table: Table, terms: int = 0) -> None:
        self.kind = kind
        self.table = table
        self.terms = terms

    def named(self, path: AttrPath) -> _Named:
        raise NotImplementedError

    def visit_not(self, node: Not) -> _Term:
        return _negated(self.visit(node.expr))

    def visit_logical_expr(self, node: LogicalExpr) -> _Term:
        terms = [self.visit(term) for term in node.terms]
        return _all(terms) if node.op is LogicalOperator.and_ else _any([self.alone(term) for term in terms])

    def alone(self, term: _Term) -> _Term:
        """As one of several alternatives."""
        raise NotImplementedError

    def visit_present(self, node: Present) -> _Term:
        return _Term(self._counted(node.attr_path).present(self.depth))

    def visit_comparison(self, node: Comparison) -> _Term:
        named, op = self._counted(node.attr_path), node.op
        attribute = named.attribute
        if attribute.type == "complex" and attribute.multi_valued and (value := attribute.sub("value")):
            # RFC 7644 3.4.2.2 writes `emails co "example.com"` where it means the values.
            named = _Named(
                path=f"{named.path}.{value.name}", holder=named.holder, chain=(*named.chain, value)
            ).shown()
        if node.value is None and op in _EQUAL:
            term = _Term(named.absent(self.depth))
        else:
            term = self._compared(named, CompareOperator.eq if op is CompareOperator.ne else op, node.value)
        return _negated(term) if op is CompareOperator.ne else term

    def _counted(self, path: AttrPath) -> _Named:
        self.terms += 1
        if self.terms > MAX_TERMS:
            raise too_many_terms()
        return self.named(path).shown()

    def _compared(self, named: _Named, op: CompareOperator, value: Any) -> _Term:
        attribute = named.attribute
        if attribute.type == "complex":
            raise named.refused("compare one of its sub-attributes.")
        if op not in _FITTING.get(attribute.type, _EVERY):
            raise named.refused(f"{op.value} does not fit an attribute of type {attribute.type}.")
        expected = _expected(named, value)

        def test(place: Place) -> _Term:
            term = _comparison(place, attribute, op, expected)
            return _narrowed(term, named, op, expected) if place.searched and term.scans else term

        return named.matching(test, self.depth)


class _Row(_Compiler):
    """A resource."""

    def alone(self, term: _Term) -> _Term:
        return _settled(term)

    def named(self, path: AttrPath) -> _Named:
        attribute = self.kind.attribute(path.uri, path.attr)
        if attribute is None:
            raise _unknown(path, f"the {self.kind.name} schema")
        chain: tuple[Attribute, ...] = (attribute,)
        name = attribute.name
        if path.sub_attr is not None:
            sub = attribute.sub(path.sub_attr)
            if sub is None:
                raise _unknown(path, attribute.name)
            chain, name = (attribute, sub), f"{attribute.name}.{sub.name}"
        extension = self.kind.extension(path.uri) if path.uri else None
        if extension is None:
            return _Named(path=name, holder=self.table.row, chain=chain)
        return _Named(path=f"{extension.urn}:{name}", holder=self.table.held(extension.urn), chain=chain)

    def visit_value_path(self, node: ValuePath) -> _Term:
        """`emails[type eq "work" and value co "x"]`: some element for which all of it holds."""
        named = self._counted(node.attr_path)
        if not named.attribute.multi_valued:
            raise named.refused("this attribute has one value at most, so there is nothing to select.")
        rows = named.holder.elements(named.attribute, self.depth)
        inner = _Element(self, named, rows.element)
        term = inner.visit(node.val_filter)
        self.terms = inner.terms
        return replace(term, text=f"EXISTS (SELECT {rows.source} AND {term.text})")


class _Element(_Compiler):
    """An element of a multi-valued attribute, `parent`."""

    depth = 2

    def __init__(self, row: _Compiler, parent: _Named, element: Holder) -> None:
        super().__init__(row.kind, row.table, row.terms)
        self.parent = parent
        self.element = element

    def alone(self, term: _Term) -> _Term:
        # Inside an element no index is read.
        return _Term(term.text, term.parameters, term.scans or bool(term.words or term.emails))

    def named(self, path: AttrPath) -> _Named:
        parent = self.parent
        plain = path.sub_attr is None and path.uri is None
        if parent.attribute.type == "complex":
            sub = parent.attribute.sub(path.attr) if plain else None
            if sub is None:
                raise _unknown(path, parent.path)
            return _Named(path=f"{parent.path}.{sub.name}", holder=self.element, chain=(sub,))
        # RFC 7643 2.4 names the parts of complex elements only; everybody calls a simple one "value".
        if not plain or path.attr.lower() != "value" or self.element.itself is None:
            raise _unknown(path, parent.path)
        alone = replace(parent.attribute, multi_valued=False)
        return _Named(
            path=parent.path, holder=Holder(places={alone.name.lower(): self.element.itself}), chain=(alone,)
        )

    def visit_value_path(self, node: ValuePath) -> _Term:
        raise self.parent.refused("a value filter cannot hold another one.")


def _unknown(path: AttrPath, where: str) -> InvalidFilterException:
    return InvalidFilterException(detail=f"{str(path)[:200]}: {where} has no such attribute.")


def _expected(named: _Named, value: Any) -> Any:
    """The value of a filter in the attribute's type: a bool, str, int, float, or an aware datetime."""
    try:
        expected = operand(named.attribute, value)
        if named.attribute.type == "dateTime":
            return _moment(expected)
    except (InvalidFilterException, ValueError, OverflowError) as error:
        raise named.refused("it cannot be compared with that value.") from error
    if isinstance(expected, str) and not storable(expected):
        raise named.refused("the value holds a character that is no text.")
    return expected


def _moment(text: str) -> datetime:
    """An instant; one without an offset is meant in UTC. ValueError or OverflowError where it is none."""
    moment = datetime.fromisoformat(text)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    # At the end of all time there is no next millisecond to compare with.
    return moment + _TICK - _TICK


def _comparison(place: Place, attribute: Attribute, op: CompareOperator, expected: Any) -> _Term:
    match place.form:
        case Form.ID:
            return _id(place, op, expected)
        case Form.KEY:
            return _exact(place, op, fold(expected))
        case Form.INSTANT:
            return _instant(place, op, expected)
        case Form.BOOLEAN:
            return _Term(f"{place.sql} = %s::boolean", (expected,))
    if attribute.type == "boolean":
        if attribute.name == "primary" and not expected:
            # RFC 7643 2.4: "If not specified, the value of "primary" SHALL be assumed to be "false"."
            return _Term(f"({place.sql} = 'true'::jsonb) IS NOT TRUE")
        return _Term(f"{place.sql} = %s::jsonb", ("true" if expected else "false",))
    if attribute.type in ("integer", "decimal"):
        return _Term(f"{number_of(place)} {_SIGNS[op]} %s::numeric", (repr(expected),))
    if attribute.type == "dateTime":
        return _Term(f"{instant_of(place)} {_SIGNS[op]} %s::timestamptz", (expected,))
    if not attribute.case_exact:
        return _text(FOLDED.format(place.text), FOLDED.format("%s::text"), op, expected)
    return _exact(place, op, expected)


def _text(left: str, right: str, op: CompareOperator, expected: str) -> _Term:
    match op:
        case CompareOperator.eq:
            return _Term(f"{left} = {right}", (expected,))
        case CompareOperator.co:
            return _Term(f"strpos({left}, {right}) > 0", (expected,))
        case CompareOperator.sw:
            return _Term(f"starts_with({left}, {right})", (expected,))
        case CompareOperator.ew:
            return _Term(f"right({left}, length({right})) = {right}", (expected, expected))
        case _:
            return _Term(f"{EXACT.format(left)} {_SIGNS[op]} {right}", (expected,))


def _id(place: Place, op: CompareOperator, expected: str) -> _Term:
    found = identifier(expected)
    if op is CompareOperator.eq:
        return (
            _Term(f"{place.sql} = %s::uuid", (found,), scans=False) if found else _Term("false", scans=False)
        )
    if found and op in _SIGNS and str(found) == expected:
        # Of ids in the one spelling there is, the order is that of their text.
        return _Term(f"{place.sql} {_SIGNS[op]} %s::uuid", (found,), scans=False)
    return _text(place.text, "%s::text", op, expected)


def _exact(place: Place, op: CompareOperator, expected: str) -> _Term:
    if op is CompareOperator.sw and place.ordered and (after := _after(expected)):
        # A range, which the index serves whatever the beginning is when the statement is planned.
        ordered = EXACT.format(place.text)
        text = f"({ordered} >= %s::text AND {ordered} < %s::text)"
        return _Term(text, (expected, after), scans=False)
    term = _text(place.text, "%s::text", op, expected)
    served = place.looked_up if op is CompareOperator.eq else place.ordered and op in _SIGNS
    return replace(term, scans=not served)


def _after(beginning: str) -> str:
    """The least text, by code points, behind everything that begins so; "" where there is none."""
    kept = beginning.rstrip("\U0010ffff")
    if not kept:
        return ""
    following = ord(kept[-1]) + 1
    # Half of a surrogate pair is no text.
    return kept[:-1] + chr(0xE000 if following == 0xD800 else following)


def _instant(place: Place, op: CompareOperator, expected: datetime) -> _Term:
    """As the millisecond that a client sees compares, in bounds that an index can serve."""
    shown = expected.replace(microsecond=expected.microsecond // 1000 * 1000)
    sql, scans = place.sql, not place.ordered
    begins = shown if shown == expected else shown + _TICK
    match op:
        case CompareOperator.eq if shown != expected:
            return _Term("false", scans=False)
        case CompareOperator.eq:
            text = f"({sql} >= %s::timestamptz AND {sql} < %s::timestamptz)"
            return _Term(text, (shown, shown + _TICK), scans=scans)
        case CompareOperator.ge:
            return _Term(f"{sql} >= %s::timestamptz", (begins,), scans=scans)
        case CompareOperator.lt:
            return _Term(f"{sql} < %s::timestamptz", (begins,), scans=scans)
        case CompareOperator.gt:
            return _Term(f"{sql} >= %s::timestamptz", (shown + _TICK,), scans=scans)
        case _:
            return _Term(f"{sql} < %s::timestamptz", (shown + _TICK,), scans=scans)


def _narrowed(term: _Term, named: _Named, op: CompareOperator, expected: Any) -> _Term:
    """With the key that a row must have in an index for the term to hold, where its value has one."""
    path = named.path.lower()
    if isinstance(expected, bool | datetime):
        return term
    if op is CompareOperator.eq and path == "emails.value":
        return replace(term, scans=False, emails=(fold(expected),))
    if op is CompareOperator.eq:
        return replace(term, scans=False, words=(_word(search_key(path, expected)),))
    if op is CompareOperator.sw:
        # How a capital sigma is folded depends on what follows it, which a beginning does not know.
        beginning = expected.partition("Σ")[0]
        word = _word(search_key(path, beginning)) + ":*"
        return replace(term, scans=len(beginning) < _TELLING, words=(word,))
    return term


def _word(key: str) -> str:
    """A lexeme as a tsquery quotes it."""
    return "'" + key.replace("\\", "\\\\").replace("'", "''") + "'"
