"""How a service refuses what an administrator asked for, a blank reason among it."""

from provisioning.decision.keys import has_something_to_see


class Invalid(ValueError):
    """What an administrator asked for cannot be; `field` names what to mend, the message says how."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


def needed_reason(reason: str, sentence: str = "Say in writing why.") -> str:
    """The reason without blanks around it. Raises Invalid where nothing is left: nobody acts without one on record."""
    if not has_something_to_see(reason):
        raise Invalid("reason", sentence)
    return reason.strip()
