"""How much a filter may say, also one in the path of a PATCH. Looked at before it is parsed.

RFC 7644 3.12, tooMany: more "than the server is willing to calculate or process".
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from scim2_models.exceptions import InvalidFilterException, InvalidPathException, TooManyException

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
        raise TooManyException(detail=f"The filter is longer than {MAX_LENGTH} characters.")


def demand_flat(shape: str) -> None:
    """400 for a filter, its strings left out, that nests too deep or has too many terms.

    Attack: a nest of parentheses says nothing, and the parser reads all of it.
    """
    depth = 0
    for bracket in _BRACKETS.findall(shape):
        depth += 1 if bracket in "([" else -1
        if depth > MAX_DEPTH:
            raise _too_deep()
    if len(_JOINTS.findall(shape)) >= MAX_TERMS:
        raise too_many_terms()


@contextmanager
def parsing() -> Iterator[None]:
    """`and`, `or` and `not` nest within few brackets too. The parser looks at it, and says so in words only."""
    try:
        yield
    except (InvalidFilterException, InvalidPathException) as error:
        if f"nests more than {MAX_DEPTH}" in error.detail:
            raise _too_deep() from error
        raise


def too_many_terms() -> TooManyException:
    return TooManyException(detail=f"The filter has more than {MAX_TERMS} terms.")


def _too_deep() -> TooManyException:
    return TooManyException(detail=f"The filter nests more than {MAX_DEPTH} expressions.")
