"""How a service refuses what an administrator asked for."""


class Invalid(ValueError):
    """What an administrator asked for cannot be; `field` names what to mend, the message says how."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message
