"""How vendors and gateways word what they refuse, a row an answer, and what each must mean."""

import json
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from orchestrator.errors import ErrorKind


@frozen
class Refusal:
    """One answer that is none.

    Attributes:
        vendor: the provider that reads it.
        status: the HTTP status; with 200 the body is the event of a stream.
        body: what is sent.
        kind: the class it must be of.
        wait: seconds that it asks to wait.
        headers: of the answer.
    """

    vendor: str
    status: int
    body: Mapping[str, Any]
    kind: ErrorKind
    wait: float | None = None
    headers: Mapping[str, str] = {}

    @property
    def name(self) -> str:
        """For the test's name."""
        return f"{self.vendor} {self.status} {json.dumps(self.body)[:90]}"


def said(
    message: str, kind: ErrorKind, status: int = 400, *, code: str | None = None, wait: float | None = None
) -> Refusal:
    """A refusal of a server of OpenAI's format."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return Refusal("openai_compatible", status, {"error": error}, kind, wait)


_K: Final = ErrorKind
_Q, _W, _F, _M = _K.QUOTA, _K.CONTEXT_LENGTH, _K.CONTENT_FILTER, _K.UNKNOWN_MODEL

QUOTA: Final = (
    said("Your account is not active, please check your billing details.", _Q, 429, code="billing_not_active"),
    said("Billing hard limit has been reached", _Q, code="billing_hard_limit_reached"),
    said("You exceeded your current quota, please check your plan.", _Q, 429, code="insufficient_quota"),
    *(
        Refusal(
            "openai_compatible",
            status,
            {
                "error": {
                    "message": "Budget has been exceeded! Current cost: 0.0023, Max budget: 0.001",
                    "type": "budget_exceeded",
                    "param": None,
                    "code": str(status),
                }
            },
            _Q,
        )
        for status in (400, 422, 429)
    ),
    said("ExceededBudget: User=u-1 over budget. Spend=11.2, Budget=10.0", _Q, 400),
    said("BudgetExceeded for this team", _Q, 400),
    said("Insufficient Balance", _Q, 402),
    said("Insufficient credits. Add more using the settings page", _Q, 402),
    said("Your account balance is insufficient for this request", _Q, 403),
    said("This request requires more credits, or fewer max_tokens. You can only afford 3000", _Q, 402),
    said("Your newly created team doesn't have any credits yet.", _Q, 403),
    said("Your team has either used all available credits or reached its monthly spending limit.", _Q, 429),
    said("You have run out of credits", _Q, 403),
    said("The project has exceeded its weekly usage limit", _Q, 403),
    said("Credit limit exceeded, please navigate to the billing page", _Q, 403),
    said("Spend limit exceeded for this organization", _Q, 400),
    said("Access denied, please make sure your account is in good standing.", _Q, 400, code="Arrearage"),
    said("The free tier of the model has been exhausted.", _Q, 403, code="AllocationQuota.FreeTierOnly"),
    said("Account a is suspended, possibly due to reaching the monthly spending limit or an unpaid invoice", _Q, 412),
    said("Key limit exceeded. Manage it in the settings", _Q, 403),
    Refusal(
        "kimi",
        403,
        {"error": {"type": "exceeded_current_quota_error", "message": "Your account is out of quota"}},
        _Q,
    ),
    Refusal(
        "anthropic",
        400,
        {
            "type": "error",
            "error": {
                "type": "invalid_request_error",
                "message": "You have reached your specified API usage limits. You will regain access on 2026-12-01.",
            },
        },
        _Q,
    ),
    Refusal(
        "anthropic",
        400,
        {"type": "error", "error": {"type": "invalid_request_error", "message": "Your credit balance is too low"}},
        _Q,
    ),
    Refusal("anthropic", 403, {"type": "error", "error": {"type": "billing_error", "message": "check billing"}}, _Q),
    Refusal(
        "anthropic",
        429,
        {
            "type": "error",
            "error": {"type": "rate_limit_error", "message": "Extra usage is required for long context requests."},
        },
        _Q,
    ),
    Refusal(
        "google",
        429,
        {
            "error": {
                "code": 429,
                "message": "Your prepayment credits are depleted. Please go to AI Studio to manage your billing.",
                "status": "RESOURCE_EXHAUSTED",
            }
        },
        _Q,
    ),
    Refusal(
        "google",
        429,
        {
            "error": {
                "code": 429,
                "message": "Your project has exceeded its spending cap.",
                "status": "RESOURCE_EXHAUSTED",
            }
        },
        _Q,
    ),
)
"""No money, no quota."""

DAYS: Final = (
    said(
        "Rate limit reached for gpt-4o on requests per day (RPD): Limit 200, Used 200, Requested 1. "
        "Please try again in 7m12s.",
        _Q,
        429,
    ),
    said("Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 requests", _Q, 429),
    said("You are using a Trial key, which is limited to 1000 API calls / month.", _Q, 429),
    said("Your organization has reached its daily token limit", _Q, 429),
    said("organization request reached TPD rate limit, current: 3000001, limit: 3000000", _Q, 429),
)
"""The limits of a day or a month."""

MINUTES: Final = (
    said(
        "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 60000. "
        "The input or output tokens must be reduced in order to run successfully.",
        _K.RATE_LIMIT,
        429,
        code="rate_limit_exceeded",
    ),
    said("Rate limit reached on tokens per min (TPM): Limit 6,000, Used 0, Requested 8,250.", _K.RATE_LIMIT, 429),
    Refusal(
        "openai_compatible",
        413,
        {
            "error": {
                "message": "Request too large for model x on tokens per minute (TPM): Limit 6000, Requested 8016",
                "type": "tokens",
                "code": "rate_limit_exceeded",
            }
        },
        _K.RATE_LIMIT,
    ),
)
"""One request larger than a minute allows: it never fits."""

WAITS: Final = (
    said("Limit 3, Used 3, Requested 1. Please try again in 20s.", _K.RATE_LIMIT, 429, wait=20.0),
    said("Rate limit reached. Please try again in 6.252s.", _K.RATE_LIMIT, 429, wait=6.252),
    said("Rate limit reached. Please try again in 1m30s.", _K.RATE_LIMIT, 429, wait=90.0),
    said("Rate limit reached. Please try again in 250ms.", _K.RATE_LIMIT, 429, wait=0.25),
    said("Too Many Requests: retry after 3 seconds", _K.RATE_LIMIT, 429, wait=3.0),
    said("No deployments available, try again in 2 minutes.", _K.RATE_LIMIT, 429, wait=120.0),
    said("The model is overloaded. Try again in 15 s", _K.OVERLOADED, 503, wait=15.0),
    said("rate_limit_exceeded, please try again later", _K.RATE_LIMIT, 500),
    Refusal(
        "openai_compatible",
        429,
        {"error": {"message": "slow down", "code": "429"}},
        _K.RATE_LIMIT,
        17.0,
        {"llm_provider-retry-after": "17"},
    ),
    Refusal(
        "openai_compatible",
        429,
        {"error": {"message": "slow down", "code": "429"}},
        _K.RATE_LIMIT,
        4.0,
        {"llm_provider-x-ratelimit-reset-requests": "4s"},
    ),
)
"""How long to wait, in words and in the headers that a gateway hands on."""

WINDOWS: Final = (
    Refusal(
        "anthropic",
        400,
        {
            "type": "error",
            "error": {
                "type": "invalid_request_error",
                "message": "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease it",
            },
        },
        _W,
    ),
    Refusal(
        "anthropic",
        400,
        {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "prompt is too long: 210000 tokens > 200000 maximum"},
        },
        _W,
    ),
    Refusal(
        "kimi",
        400,
        {
            "error": {
                "type": "invalid_request_error",
                "message": "Invalid request: Your request exceeded model token limit: 8192 (requested: 9120)",
            }
        },
        _W,
    ),
    Refusal(
        "kimi",
        400,
        {"error": {"type": "invalid_request_error", "message": "Input token length too long"}},
        _W,
    ),
    Refusal(
        "openai_compatible",
        400,
        {
            "code": "Client specified an invalid argument",
            "error": "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
        },
        _W,
    ),
    Refusal(
        "openai_compatible",
        422,
        {
            "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000",
            "error_type": "validation",
        },
        _W,
    ),
    Refusal(
        "openai_compatible",
        422,
        {
            "error": "Input validation error: `inputs` must have less than 1024 tokens. Given: 2000",
            "error_type": "validation",
        },
        _W,
    ),
    said(
        "Invalid 'messages[0].content': string too long. Expected a string with maximum length 10485760.",
        _W,
        code="string_above_max_length",
    ),
    said("This model's maximum context length is 8192 tokens.", _W, code="context_length_exceeded"),
    said("litellm.ContextWindowExceededError: the context window is full", _W),
    said("the request exceeds the available context size, try increasing it", _W),
    said("Input is too long for requested model.", _W),
    said("Please reduce the length of the messages or completion.", _W),
    said("too many tokens: the prompt cannot exceed 4000", _W),
    said("Prompt contains 40000 tokens, too large for model with 32768", _W),
    Refusal(
        "openai_compatible",
        400,
        {
            "error": {
                "message": "Provider returned error",
                "code": 400,
                "metadata": {"raw": '{"error":{"message":"prompt exceeds max length"}}', "provider_name": "x"},
            }
        },
        _W,
    ),
)
"""The prompt does not fit."""

MODELS: Final = (
    said("/chat/completions: Invalid model name passed in model=gpt-9. Call `/v1/models` to view them.", _M),
    said("gpt-9 is not a valid model ID", _M),
    said("No endpoints found for x/gpt-9.", _M, 404),
    said("The model `gpt-9` does not exist or you do not have access to it.", _M, 403, code="model_not_found"),
    said("Model Not Exist: unknown model gpt-9", _M),
    said("Invalid model: gpt-9", _M),
    said("model gpt-9 is not supported", _M),
    said("The supported API model names are a or b", _M),
    said("The API deployment for this resource does not exist.", _M, 404, code="DeploymentNotFound"),
    said("key not allowed to access model. This key can only access models=['a']", _M, 401),
    said("Unable to access model gpt-9. Please visit the list of models", _M, 404, code="model_not_available"),
)
"""No such model, or not for this key."""

DECLINED: Final = (
    Refusal(
        "anthropic",
        200,
        {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "Output blocked by content filtering policy"},
        },
        _F,
    ),
    Refusal(
        "anthropic",
        200,
        {"type": "error", "error": {"type": "api_error", "message": "Output blocked by content filtering policy"}},
        _F,
    ),
    *(
        Refusal("openai", 200, {"error": {"code": code, "message": words, "type": "invalid_request_error"}}, _F)
        for code, words in (
            ("invalid_prompt", "Invalid prompt: your prompt was flagged as potentially violating our usage policy."),
            ("cyber_policy", "This request was declined."),
            ("content_policy_violation", "Your request was rejected by our safety system."),
        )
    ),
    *(
        Refusal(
            "openai:responses",
            200,
            {
                "type": "response.failed",
                "response": {
                    "id": "resp_1",
                    "status": "failed",
                    "output": [],
                    "error": {"code": code, "message": "Declined."},
                },
            },
            _F,
        )
        for code in ("invalid_prompt", "cyber_policy", "bio_policy")
    ),
    said("The request was rejected because it was considered high risk", _F, code="content_filter"),
    said("Your text violates our content rules and policies", _F),
    said("Input data may contain inappropriate content.", _F, code="data_inspection_failed"),
    said("The response was filtered.", _F, code="ResponsibleAIPolicyViolation"),
    said("Your request was flagged", _F),
)
"""Refused, whatever the status: not to be asked again."""

KEYS: Final = (
    said("Incorrect API key provided", _K.AUTHENTICATION, 400, code="invalid_api_key"),
    said("Invalid API key. You can find yours in the console", _K.AUTHENTICATION, 400),
)
"""The key is refused with the status of a bad request."""

REFUSALS: Final = (*QUOTA, *DAYS, *MINUTES, *WAITS, *WINDOWS, *MODELS, *DECLINED, *KEYS)
