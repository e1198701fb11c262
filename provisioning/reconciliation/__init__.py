"""Runs over what is stored: simulate, guard, execute. `docs/reconciliation.md` tells what they look for."""

from provisioning.services.quarantine import Choice, lapsed, leave_out, needs_two, reject, release, take_in
from provisioning.services.runs import order

from .doubts import ask_tenant
from .runs import Busy, cancel, execute, simulate

__all__ = [
    "Busy",
    "Choice",
    "ask_tenant",
    "cancel",
    "execute",
    "lapsed",
    "leave_out",
    "needs_two",
    "order",
    "reject",
    "release",
    "simulate",
    "take_in",
]
