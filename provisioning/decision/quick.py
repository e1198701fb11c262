"""Frozen dataclasses that are made by the thousand. Knows no fact."""

from dataclasses import field, fields, make_dataclass
from typing import TypeVar

T = TypeVar("T")


def quick(frozen: type[T]) -> type[T]:
    """The same dataclass, made in a quarter of the time: nothing refuses to change one but the type checker.

    A frozen dataclass sets each of its fields by a call of `object.__setattr__`, which is most of what a decision
    costs.
    """
    twin = make_dataclass(
        frozen.__name__,
        [
            (one.name, one.type, field(default=one.default, default_factory=one.default_factory))
            for one in fields(frozen)  # type: ignore[arg-type]
        ],
        kw_only=True,
    )
    del frozen.__setattr__, frozen.__delattr__
    frozen.__init__ = twin.__init__  # type: ignore[method-assign, misc]
    return frozen
