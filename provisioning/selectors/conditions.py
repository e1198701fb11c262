"""A condition on the rows of one table, as SQL and its parameters. Knows no table, no tenant and no filter."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Condition:
    """`text` is a boolean expression with one `%s` for each of `parameters`.

    It stands in parentheses behind the tenant's and the connection's own conditions, so that no `or` in it
    escapes them. Where an attribute is absent it may be null, which finds nothing, as false does. `scans` says
    that no index serves it: the connection's rows are read. `plain` says that it looks one value or two up: such
    conditions come again and again in few shapes, and end at once.
    """

    text: str
    parameters: tuple[Any, ...] = ()
    scans: bool = False
    plain: bool = False
