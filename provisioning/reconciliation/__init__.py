"""Runs over what is stored: simulate, guard, execute. `docs/reconciliation.md` tells what they look for."""

from .doubts import ask_tenant
from .quarantine import Choice, leave_out, needs_two, reject, release, take_in
from .runs import Busy, cancel, execute, order, simulate

__all__ = [
    "Busy",
    "Choice",
    "ask_tenant",
    "cancel",
    "execute",
    "leave_out",
    "needs_two",
    "order",
    "reject",
    "release",
    "simulate",
    "take_in",
]
