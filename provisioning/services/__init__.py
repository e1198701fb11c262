"""The only door for writes. `submit_many` is it for people; its neighbours are the doors for everything else."""

from .submission import Key, frees, simulate_in_turn, simulate_many, submit, submit_many

__all__ = ["Key", "frees", "simulate_in_turn", "simulate_many", "submit", "submit_many"]
