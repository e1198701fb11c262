"""Runs over what is stored: simulate, guard, execute. `docs/reconciliation.md` tells what they look for."""

from .runs import Busy, execute, order, reject, release, simulate

__all__ = ["Busy", "execute", "order", "reject", "release", "simulate"]
