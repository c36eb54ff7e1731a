"""The contract of providers."""

from copy import deepcopy
from unittest import SkipTest

from attrs import evolve

from orchestrator.errors import ProviderError, SpecError
from orchestrator.models import ModelInfo
from orchestrator.money import Price
from orchestrator.spi import Reply
from orchestrator.testing.contracts.pretended_http import Wire
from orchestrator.testing.contracts.provider_answers import AnswerContract
from orchestrator.testing.contracts.provider_live_text import LiveContract
from orchestrator.testing.contracts.provider_programs import ProgramContract
from orchestrator.testing.contracts.provider_side_by_side import CallContract


class ProviderContract(AnswerContract, CallContract, ProgramContract, LiveContract):
    """A provider turns one request into one reply or one classified error, and does nothing else.

    Name the module in ``plugin``, what a spec says in ``options`` and variables of the environment in ``environment``.
    ``recordings`` are answers of the vendor with what they amount to; without any, what needs one is left out.
    """

    def test_a_key_is_enough(self) -> None:
        """Where every key is set, and every address, it is built."""
        self._module()
        built = self.build(config=self.config()) is not None
        assert built, (
            "every key is set, and it returned None: ask config.secret and config.variable, not the environment; "
            "what it needs besides stands in `options` and `environment`"
        )

    def test_odd_options_are_refused_in_words(self) -> None:
        """An option of an unexpected kind is taken, or is a SpecError; never another error."""
        self.refuses_odd_options(lambda options: self.build(config=self.config(options)))

    def test_options_that_make_no_sense_are_refused(self) -> None:
        """An option that it does not know is a SpecError."""
        self._module()
        try:
            self.build(config=self.config({**self.options, "no_such_option": 1}))
        except SpecError:
            return
        raise AssertionError("it takes an option it does not know; raise SpecError, so that a typing error shows")

    def test_its_models_are_models(self) -> None:
        """Each model has an id of its own, this provider's name and a price or None; asked twice, they are the same."""
        provider = self.make()
        models = provider.models()
        assert all(isinstance(each, ModelInfo) for each in models), "what it sells is no ModelInfo"
        assert models, "it sells nothing, although a model is declared for it"
        names = [each.id for each in models]
        assert len(set(names)) == len(names), "it sells two models of one name"
        priceless = [each.id for each in models if not isinstance(each.price, Price | None)]
        assert not priceless, f"the price of {', '.join(priceless)} is no Price; None: it is unknown"
        strange = sorted({each.provider for each in models} - {self.name})
        assert not strange, f"its models name the provider {', '.join(strange)}; use config.name"
        assert list(provider.models()) == list(models), "asked again, it sells others"

    def test_equal_requests_have_equal_bytes(self) -> None:
        """A request is shaped the same twice, and by an object built anew; it is not changed."""
        request = self.request()
        before = deepcopy(request)
        first = self._encoded(self.make(), request)
        provider = self.make()
        assert self._encoded(provider, request).content == first.content, "built anew, it shapes other bytes"
        self._encoded(provider, self.request("something else", 50))
        assert self._encoded(provider, request).content == first.content, "asked again, it shapes other bytes"
        assert request == before, "it changed the request"
        assert first.request == request, "the body names another request"

    def test_the_bytes_hold_the_prompt_and_the_limit(self) -> None:
        """A longer prompt gives more bytes, and another ``max_tokens`` other bytes: the hold is made of both."""
        if self.make().simulated:
            raise SkipTest("a simulated provider sends nothing")
        provider = self.make()
        short, long = (len(self._encoded(provider, self.request("x" * size)).content) for size in (10, 10_010))
        assert long - short >= 10_000, "a prompt longer by 10000 bytes has fewer bytes more: part of it is left out"
        request = self.request()
        for place, message in enumerate(request.messages):
            longer = evolve(message, text=message.text + "x" * 1_000)
            asked = evolve(request, messages=(*request.messages[:place], longer, *request.messages[place + 1 :]))
            more = len(self._encoded(provider, asked).content) - len(self._encoded(provider, request).content)
            assert more >= 1_000, f"the message of the author {message.author!r} is left out of the bytes"
        few, many = (self._encoded(provider, self.request(max_tokens=limit)).content for limit in (64, 128))
        assert few != many, "max_tokens is not sent: what a call can cost has no bound"

    def test_a_simulated_provider_answers(self) -> None:
        """One that only pretends answers or fails like any other, and makes no connection."""
        if not self.make().simulated:
            raise SkipTest("it is not simulated")
        wire = Wire(lambda sent: (500, {}, b""))
        found = self._outcome(wire)
        assert not wire.sent, "it is simulated and sends a request"
        assert isinstance(found, Reply | ProviderError), f"it raised {type(found).__name__}"
