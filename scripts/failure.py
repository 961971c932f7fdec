"""How a script fails."""


class Failure(Exception):
    """What is wrong, for a person to read."""
