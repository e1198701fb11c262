"""Which elements of a multi-valued attribute a value filter means. Knows no request and no database.

The syntax tree is scim2-models'; the elements are those of a canonical document.
"""

import operator
from collections.abc import Callable, Mapping
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
    ValuePath,
)

from scim.documents import moment
from scim.schemas import JSON, Attribute

Predicate = Callable[[JSON], bool]

_ORDER: Mapping[CompareOperator, Callable[[Any, Any], bool]] = {
    CompareOperator.gt: operator.gt,
    CompareOperator.ge: operator.ge,
    CompareOperator.lt: operator.lt,
    CompareOperator.le: operator.le,
}
_PART: Mapping[CompareOperator, Callable[[str, str], bool]] = {
    CompareOperator.co: lambda text, part: part in text,
    CompareOperator.sw: str.startswith,
    CompareOperator.ew: str.endswith,
}


def predicate(attribute: Attribute, condition: FilterNode) -> Predicate:
    """Whether the value filter holds for an element. InvalidFilter for a name or operator that is none.

    The filter is read once, whatever it is then asked about.
    """
    return _Predicates(attribute).visit(condition)


def described(attribute: Attribute, condition: FilterNode) -> JSON | None:
    """The element that a filter describes: equality terms joined by `and`. None for any other filter."""
    terms = condition.terms if isinstance(condition, LogicalExpr) else (condition,)
    if isinstance(condition, LogicalExpr) and condition.op is not LogicalOperator.and_:
        return None
    element: JSON = {}
    for term in terms:
        if not isinstance(term, Comparison) or term.op is not CompareOperator.eq or term.value is None:
            return None
        sub = sub_attribute(attribute, term.attr_path)
        element[sub.name] = operand(sub, term.value)
    return element


def sub_attribute(attribute: Attribute, path: AttrPath) -> Attribute:
    """The sub-attribute that a name inside the brackets means."""
    sub = attribute.sub(path.attr) if path.sub_attr is None and path.uri is None else None
    if sub is None:
        raise InvalidFilterException(detail=f"{path}: {attribute.name} has no such sub-attribute.")
    if sub.returned == "never":
        # Guess by guess, what a PATCH changes would tell what is never shown.
        raise InvalidFilterException(detail=f"{attribute.name}.{sub.name}: it cannot be filtered by.")
    return sub


def operand(attribute: Attribute, value: Any) -> Any:
    """A filter's value in the attribute's type. `roles[primary eq "True"]` is what Entra sends for true."""
    fits = False
    if attribute.type == "boolean":
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        fits = isinstance(value, bool)
    elif attribute.type in ("integer", "decimal"):
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    elif attribute.type != "complex":
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        fits = isinstance(value, str)
    if not fits:
        raise InvalidFilterException(detail=f"{attribute.name}: it cannot be compared with that value.")
    return value


class _Predicates(FilterVisitor[Predicate]):
    def __init__(self, attribute: Attribute) -> None:
        self.attribute = attribute

    def visit_comparison(self, node: Comparison) -> Predicate:
        sub = sub_attribute(self.attribute, node.attr_path)
        name = sub.name
        if node.value is None and node.op in (CompareOperator.eq, CompareOperator.ne):
            absent = node.op is CompareOperator.eq
            return lambda element: (element.get(name) is None) is absent
        expected = operand(sub, node.value)
        if sub.type == "boolean":
            if node.op not in (CompareOperator.eq, CompareOperator.ne):
                raise InvalidFilterException(detail=f"{name}: a boolean is compared by eq or ne only.")
            # RFC 7643 2.4: where primary is not said, it is false. Any other boolean is then nothing.
            unsaid = False if name == "primary" else None
            equal = node.op is CompareOperator.eq
            return lambda element: (element.get(name, unsaid) is expected) is equal
        compare = _comparison(sub, node.op, expected)
        different = node.op is CompareOperator.ne

        def holds(element: JSON) -> bool:
            actual = element.get(name)
            return different if actual is None else compare(actual)

        return holds

    def visit_present(self, node: Present) -> Predicate:
        name = sub_attribute(self.attribute, node.attr_path).name
        return lambda element: name in element

    def visit_not(self, node: Not) -> Predicate:
        inner = self.visit(node.expr)
        return lambda element: not inner(element)

    def visit_logical_expr(self, node: LogicalExpr) -> Predicate:
        terms = [self.visit(term) for term in node.terms]
        decides = node.op is not LogicalOperator.and_

        def holds(element: JSON) -> bool:
            # A loop, as it is asked of each element of each operation.
            for term in terms:
                if term(element) is decides:
                    return decides
            return not decides

        return holds

    def visit_value_path(self, node: ValuePath) -> Predicate:
        raise InvalidFilterException(detail="A value filter cannot hold another one.")


def _comparison(sub: Attribute, op: CompareOperator, expected: Any) -> Callable[[Any], bool]:
    """What the operator asks of a value that is there."""
    form = _form(sub)
    if op in _PART:
        if not isinstance(expected, str):
            raise InvalidFilterException(detail=f"{sub.name}: {op.value} compares text only.")
        # A part of an instant is only text.
        part, found = (expected if sub.case_exact else expected.lower()), _PART[op]
        return lambda actual: found(actual if sub.case_exact else actual.lower(), part)
    wanted = form(expected)
    if wanted is None:
        raise InvalidFilterException(detail=f"{sub.name}: it cannot be compared with that value.")
    if op in _ORDER:
        if sub.type == "binary":
            raise InvalidFilterException(detail=f"{sub.name}: a binary value has no order.")
        order = _ORDER[op]
        return lambda actual: order(form(actual), wanted)
    if op is CompareOperator.ne:
        return lambda actual: bool(form(actual) != wanted)
    return lambda actual: bool(form(actual) == wanted)


def _form(sub: Attribute) -> Callable[[Any], Any]:
    """The form in which two values of an attribute are compared."""
    if sub.type == "dateTime":
        return moment
    if sub.type in ("integer", "decimal") or sub.case_exact:
        return _itself
    return str.lower


def _itself(value: Any) -> Any:
    return value
