"""Which requests are answered: from this machine's own page, with the token, and never inside another page."""

import hmac
from collections.abc import Sequence
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qs, quote

from attrs import frozen
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""The content security policy of every answer."""

HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

_FORM_BYTES: Final = 1_000_000
_SAFE: Final = ("GET", "HEAD")
_INSIDE: Final = ("iframe", "frame", "embed", "object")
_UNKNOWN: Final = "This address needs the token of the session.\nOpen the address that `orchestrate view` has printed."
_FOREIGN: Final = "Only the pages of this application may ask for this."


@frozen
class Access:
    """Who may use the application.

    Attributes:
        token: what the printed address carries; random, made anew at every start.
        port: where the application listens.
        allow_actions: whether anything may be changed.
    """

    token: str
    port: int
    allow_actions: bool = False

    @property
    def hosts(self) -> frozenset[str]:
        """The values of ``Host`` that are answered; any other is a name that somebody has pointed here."""
        return frozenset(f"{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]"))

    @property
    def cookie(self) -> str:
        """The name of the cookie: cookies know no ports, and another application may run beside this one."""
        return f"orchestrate-view-{self.port}"

    @property
    def form_token(self) -> str:
        """What every form carries; it does not give the token away."""
        return hmac.new(self.token.encode(), b"form", sha256).hexdigest()

    def is_form_token(self, given: str) -> bool:
        """Whether a form is one of this session's."""
        return hmac.compare_digest(given.encode(), self.form_token.encode())

    def knows(self, headers: Headers, query: str) -> bool:
        """Whether a request has the token: in its address, its cookie or its Authorization."""
        return any(hmac.compare_digest(each.encode(), self.token.encode()) for each in self._given(headers, query))

    def _given(self, headers: Headers, query: str) -> Sequence[str]:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        found = parse_qs(query).get("token", [])
        if scheme.lower() == "bearer":
            found.append(bearer.strip())
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            cookie = None
        return found if cookie is None else [*found, cookie.value]


class Guard:
    """Answers nothing but what ``Access`` allows, and gives every answer its headers."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refused = self._refused(scope, headers)
        token = self._token_given(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add(MutableHeaders(scope=message), token and refused is None)
            await send(message)

        answer: ASGIApp = self._app if refused is None else refused
        await answer(scope, receive, send_with_headers)

    def _add(self, headers: MutableHeaders, remember: bool) -> None:
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        headers.setdefault("Cache-Control", "no-store")
        if remember:
            value = quote(self._access.token)
            headers.append("Set-Cookie", f"{self._access.cookie}={value}; Path=/; HttpOnly; SameSite=Strict")

    def _token_given(self, scope: Scope) -> bool:
        """Whether the address has the token, so that a cookie is to keep it."""
        return "token" in parse_qs(scope["query_string"].decode("latin-1"))

    def _refused(self, scope: Scope, headers: Headers) -> Response | None:
        """Why a request is not answered; None where it is."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if len(headers.getlist("host")) != 1 or host not in self._access.hosts:
            return PlainTextResponse("This is no name of this application.", 403)
        if origin is not None and origin != f"http://{host}":
            return PlainTextResponse(_FOREIGN, 403)
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            return PlainTextResponse(_FOREIGN, 403)
        if headers.get("sec-fetch-dest") in _INSIDE:
            return PlainTextResponse("This application is shown in no frame.", 403)
        if not self._access.knows(headers, scope["query_string"].decode("latin-1")):
            return PlainTextResponse(_UNKNOWN, 401)
        if scope["method"] in _SAFE:
            return None
        if not self._access.allow_actions:
            text = "This application only shows. Start it with --allow-actions to change anything."
            return PlainTextResponse(text, 403)
        if not headers.get("content-length", "").isdigit() or int(headers["content-length"]) > _FORM_BYTES:
            return PlainTextResponse("The form is too large.", 413)
        return None
