"""What should change, and why. Knows no Django, no clock, no wire format."""

from .brakes import braked
from .policy import Policy
from .reactions import REACTIONS, refuse_by_name
from .situations import name_situation
from .types import Decision, Known, Observation


def decide(known: Known, observation: Observation, policy: Policy) -> Decision:
    """Name the situation, look up its reaction, run it, see to the brakes. Pure: the same question has the same
    answer."""
    case = name_situation(known, observation, policy)
    reaction = REACTIONS.get((observation.channel, observation.intent, case.situation), refuse_by_name)
    return braked(case, reaction(case))
