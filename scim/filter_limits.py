"""How much a filter may say, also one in the path of a PATCH. Looked at before it is parsed."""

import re

from scim2_models.exceptions import InvalidFilterException

MAX_LENGTH = 8192
"""Characters: a hundred ids joined by `or` fit."""
MAX_TERMS = 200
MAX_DEPTH = 32
"""Of parentheses and brackets, and of what the syntax tree nests."""

LITERAL = re.compile(r'"((?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9A-Fa-f]{4})*+)"')
_BRACKETS = re.compile(r"[()\[\]]")
_JOINTS = re.compile(r"(?<=[\s)\]])(?:and|or)(?=[\s(])", re.IGNORECASE)


def demand_short(text: str) -> None:
    if len(text) > MAX_LENGTH:
        raise InvalidFilterException(detail=f"The filter is longer than {MAX_LENGTH} characters.")


def demand_flat(shape: str) -> None:
    """400 for a filter, its strings left out, that nests too deep or has too many terms.

    Attack: a nest of parentheses says nothing, and the parser reads all of it.
    """
    depth = 0
    for bracket in _BRACKETS.findall(shape):
        depth += 1 if bracket in "([" else -1
        if depth > MAX_DEPTH:
            raise InvalidFilterException(detail=f"The filter nests more than {MAX_DEPTH} expressions.")
    if len(_JOINTS.findall(shape)) >= MAX_TERMS:
        raise too_many_terms()


def too_many_terms() -> InvalidFilterException:
    return InvalidFilterException(detail=f"The filter has more than {MAX_TERMS} terms.")
