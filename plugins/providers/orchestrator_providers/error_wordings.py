"""How vendors and gateways word what a status does not tell: one table for all of them, as data.

The words are those of the error's code, type, status and message, in lower case. A row needs a status of its list, or
any where it lists none: the same words come with many statuses, also inside an answer of status 200. The order counts:
the first row that fits is the cause.
"""

import re
from collections.abc import Callable
from typing import Final

from attrs import frozen

from orchestrator.spi import ErrorKind


@frozen
class Wording:
    """One meaning, and the words it is known by."""

    name: str
    kind: ErrorKind
    phrases: tuple[str, ...]
    """Regular expressions."""
    statuses: tuple[int, ...] = ()
    retryable: bool = False
    and_if: Callable[[str], bool] = lambda words: True
    """What else must hold of the words."""

    def says(self, status: int, words: str) -> bool:
        """Whether an error says this."""
        if self.statuses and status not in self.statuses:
            return False
        return any(re.search(phrase, words) for phrase in self.phrases) and self.and_if(words)


_ASKED: Final = re.compile(r"limit:? ([\d,]+).{0,80}?requested:? ([\d,]+)")


def is_beyond_the_limit(words: str) -> bool:
    """Whether one request asks for more than a whole window allows, by the numbers in its refusal."""
    match = _ASKED.search(words)
    return match is not None and int(match[2].replace(",", "")) > int(match[1].replace(",", ""))


WORDINGS: Final = (
    Wording(
        "no money or quota left",
        ErrorKind.QUOTA,
        (
            "insufficient_quota",
            "exceeded_current_quota",
            "billing_not_active",
            "account is not active",
            "billing_hard_limit_reached",
            "billing hard limit",
            r"\bbilling_error\b",
            r"insufficient[ _](?:account )?(?:balance|credits?|funds)",
            "balance is (?:insufficient|too low|not enough)",
            "credit balance is too low",
            "credits? (?:are|is|have been) (?:depleted|exhausted|used up)",
            "(?:ran|run) out of credits",
            "used all (?:of )?(?:its |your )?(?:available )?credits",
            "doesn't have any credits|does not have any credits",
            "requires more credits",
            "reached (?:your|its) (?:specified api usage|specified usage|monthly spending|spending|usage) limit",
            "(?:monthly|weekly) (?:spending|usage|spend) limit",
            "credit limit exceeded|spend(?:ing)? limit exceeded",
            "budget_exceeded|budgetexceeded|exceededbudget",
            "budget has been exceeded|over budget",
            "extra usage is required",
            r"\barrearage\b|in arrears",
            "allocationquota",
            "suspended.{0,60}(?:billing|balance|spending|invoice)",
            "spending cap",
            "key limit exceeded",
        ),
    ),
    Wording(
        "the limit of a day or a month is reached",
        ErrorKind.QUOTA,
        (
            r"(?:requests?|tokens?|calls?)[ _]per[ _](?:day|month)",
            r"\((?:rpd|tpd)\)|\b[rt]pd\b",
            "per-day|per_day|perday",
            r"calls / month",
            "(?:daily|monthly) (?:request |token |usage |api )?(?:limit|quota)",
        ),
        statuses=(400, 402, 403, 422, 429, 500),
    ),
    Wording(
        "the service is overloaded",
        ErrorKind.OVERLOADED,
        ("overloaded",),
        statuses=(429, 500, 503, 529),
        retryable=True,
    ),
    Wording(
        "one request is larger than a minute allows",
        ErrorKind.RATE_LIMIT,
        ("request too large", "requested", "reduced in order to run"),
        statuses=(400, 413, 429, 500),
        and_if=lambda words: (
            (is_beyond_the_limit(words) or "request too large" in words or "reduced in order to run" in words)
            and ("per min" in words or "tpm" in words or "rate_limit" in words)
        ),
    ),
    Wording(
        "the model declines, or a filter does",
        ErrorKind.CONTENT_FILTER,
        (
            "content[_ -]?filter",
            "content[_ ]policy",
            "invalid_prompt",
            "cyber_policy|bio_policy|safety_policy",
            r"\bflagged\b",
            "violat(?:es?|ed|ing) (?:our|the|openai's|provider) .{0,40}polic",
            "usage policy|usage policies",
            "data_inspection_failed|datainspectionfailed",
            "responsibleaipolicyviolation",
            "high risk",
        ),
        statuses=(400, 403, 422, 451, 500),
    ),
    Wording(
        "no such model, or not for this key",
        ErrorKind.UNKNOWN_MODEL,
        (
            "model_not_found|modelnotfound|model not found",
            "unknown model",
            "invalid model name",
            "not a valid model",
            r"invalid model: ",
            "no endpoints found",
            r"model \S{1,200} (?:does not exist|not found|is not supported|is not available)",
            r"model .{1,200} does not exist",
            "supported api model",
            "deploymentnotfound|deployment for this resource does not exist",
            "key_model_access_denied|not allowed to access model",
            "model_not_available|unable to access model",
        ),
        statuses=(400, 401, 403, 404, 422),
    ),
    Wording(
        "the prompt is too long for the window",
        ErrorKind.CONTEXT_LENGTH,
        (
            "context_length_exceeded|exceed_context_size|context_window_exceeded|contextwindowexceeded",
            "context (?:window|length|size|limit)",
            "prompt is too long",
            "maximum context",
            "input length and .?max_tokens.? exceed",
            "exceed(?:s|ed)? (?:the )?model(?:'s)? (?:maximum )?token limit",
            "input token (?:count|length)",
            "maximum prompt length",
            r"inputs?.? (?:tokens )?\+ .?max_new_tokens",
            "inputs.? must have less than",
            "input validation error.{0,80}tokens",
            "string_above_max_length|string too long",
            "(?:prompt|input) (?:exceeds max length|is too long|length exceeds)",
            "reduce the length of the (?:messages|prompt|input)",
            "too many (?:input )?tokens",
            "too large for model",
        ),
        statuses=(400, 413, 422, 500),
    ),
    Wording(
        "the key is refused",
        ErrorKind.AUTHENTICATION,
        ("invalid_api_key|incorrect_api_key|invalid_authentication|authentication_error", "invalid api key"),
        statuses=(400, 500),
    ),
    Wording(
        "too many requests in a short time",
        ErrorKind.RATE_LIMIT,
        ("rate_limit_exceeded|rate_limit_error|rate limit reached|too many requests",),
        statuses=(400, 429, 500),
        retryable=True,
    ),
)
"""The table. ``tests/plugins/providers/test_wordings.py`` has an answer, as its vendor sends it, for every phrase."""
