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

from scim.schemas import JSON, Attribute

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


def matches(attribute: Attribute, condition: FilterNode, element: JSON) -> bool:
    """Whether the value filter holds for this element. InvalidFilter for a name or operator that is none."""
    return _Match(attribute, element).visit(condition)


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


class _Match(FilterVisitor[bool]):
    def __init__(self, attribute: Attribute, element: JSON) -> None:
        self.attribute = attribute
        self.element = element

    def visit_comparison(self, node: Comparison) -> bool:
        sub = sub_attribute(self.attribute, node.attr_path)
        actual = self.element.get(sub.name)
        if node.value is None and node.op in (CompareOperator.eq, CompareOperator.ne):
            return (actual is None) is (node.op is CompareOperator.eq)
        expected = operand(sub, node.value)
        if sub.type == "boolean":
            if node.op not in (CompareOperator.eq, CompareOperator.ne):
                raise InvalidFilterException(detail=f"{sub.name}: a boolean is compared by eq or ne only.")
            # RFC 7643 2.4: where primary is not said, it is false.
            actual = bool(actual)
        if actual is None:
            return node.op is CompareOperator.ne
        if isinstance(actual, str) and isinstance(expected, str) and not sub.case_exact:
            actual, expected = actual.lower(), expected.lower()
        if node.op is CompareOperator.eq:
            return bool(actual == expected)
        if node.op is CompareOperator.ne:
            return bool(actual != expected)
        if node.op in _ORDER:
            return _ORDER[node.op](actual, expected)
        if not isinstance(expected, str):
            raise InvalidFilterException(detail=f"{sub.name}: {node.op.value} compares text only.")
        return _PART[node.op](actual, expected)

    def visit_present(self, node: Present) -> bool:
        return sub_attribute(self.attribute, node.attr_path).name in self.element

    def visit_not(self, node: Not) -> bool:
        return not self.visit(node.expr)

    def visit_logical_expr(self, node: LogicalExpr) -> bool:
        # Every term is visited: a wrong name is refused wherever it stands.
        results = [self.visit(term) for term in node.terms]
        return all(results) if node.op is LogicalOperator.and_ else any(results)

    def visit_value_path(self, node: ValuePath) -> bool:
        raise InvalidFilterException(detail="A value filter cannot hold another one.")
