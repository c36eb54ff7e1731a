"""How often and how much a vendor lets an account ask."""

from attrs import frozen


@frozen
class Allowance:
    """So much may be taken in any period of this length."""

    most: int
    """Requests, or tokens."""
    period: int
    """Microseconds."""


@frozen
class Allowances:
    """What a vendor allows one account; None: it does not say."""

    requests: Allowance | None = None
    """Calls, whatever they hold."""
    tokens: Allowance | None = None
    """Input and output together."""
