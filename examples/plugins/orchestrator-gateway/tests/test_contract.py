"""The provider keeps the contract, and reads answers correctly."""

import orchestrator_gateway

from orchestrator.spi import Billed, ErrorKind, Finish, Usage
from orchestrator.testing import ProviderContract, Recording

GOOD = b'{"text": "hello", "usage": {"input": 9, "cached": 4, "output": 2}}'
SECOND = b'{"text": "good day", "stopped": "length", "usage": {"input": 7, "output": 3}}'


class TestGateway(ProviderContract):
    """The whole contract. Replace these recordings with answers of your gateway."""

    plugin = orchestrator_gateway
    name = "gateway"
    recordings = (
        Recording("hello", 200, {}, GOOD, "hello", usage=Usage(input=5, cached_input=4, output=2)),
        Recording("cut", 200, {}, SECOND, "good day", Finish.LENGTH, Usage(input=7, output=3)),
        Recording("no key", 401, {}, b"{}", error=ErrorKind.AUTHENTICATION, retryable=False, billed=Billed.NO),
    )
