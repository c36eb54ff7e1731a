"""Only this machine's own page, with the token, is answered; nothing is framed, nothing changes without leave."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.plugins.commands.view.serving import Served, served


@pytest.fixture(scope="module")
def view(quick: Path) -> Iterator[Served]:
    """The quickstart's runs, read-only."""
    with served(quick) as view:
        yield view


@pytest.fixture(scope="module")
def acting(quick: Path) -> Iterator[Served]:
    """The same with actions."""
    with served(quick, allow_actions=True) as view:
        yield view


PATHS = ("/", "/runs/quick", "/log", "/events", "/runs/quick/events", "/static/view.js", "/none")


@pytest.mark.parametrize("path", PATHS)
def test_without_the_token_nothing_is_answered(view: Served, path: str) -> None:
    """A wrong one, an empty one and none are 401, and nothing of the log is in the answer."""
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Bearer"}, {"Cookie": "orchestrate-view=x"}):
        answer = httpx.get(f"{view.base}{path}", headers=headers, trust_env=False)
        assert answer.status_code == 401
        assert "quick" not in answer.text
    assert httpx.get(f"{view.base}{path}?token=", trust_env=False).status_code == 401


def test_the_printed_address_gives_a_cookie(view: Served) -> None:
    """With it later requests need no token in their address; scripts do not see it, other sites do not send it."""
    with httpx.Client(base_url=view.base, trust_env=False) as client:
        first = client.get("/", params={"token": view.access.token})
        assert first.status_code == 200
        cookie = first.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert client.get("/runs/quick").status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.example:{port}", ""]
)
def test_a_name_that_was_pointed_here_is_refused(view: Served, host: str) -> None:
    """DNS rebinding: the token does not help, whatever the Host is."""
    answer = view.get("/", headers={"Host": host.format(port=view.access.port)})
    assert answer.status_code == 403
    assert "quick" not in answer.text


@pytest.mark.parametrize("path", PATHS)
def test_a_foreign_origin_is_refused(view: Served, path: str) -> None:
    """Another site, another port of this machine, an opaque origin."""
    for origin in ("http://evil.example", "https://127.0.0.1", f"{view.base}0", "null", f"https{view.base[4:]}"):
        assert view.get(path, headers={"Origin": origin}).status_code == 403
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert view.get(path, headers=headers).status_code == 403


def test_pages_are_shown_in_no_frame_and_load_nothing_from_elsewhere(view: Served) -> None:
    """Every answer, refusals too, carries the policy."""
    for path in ("/", "/runs/quick", "/none", "/static/view.css"):
        headers = view.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["x-content-type-options"] == "nosniff"
    assert "content-security-policy" in httpx.get(view.base, trust_env=False).headers
    assert view.get("/", headers={"Sec-Fetch-Dest": "iframe"}).status_code == 403


POSTS = (
    "/start",
    "/start/check",
    "/runs/quick/stop",
    "/runs/quick/resume",
    "/runs/quick/fork",
    "/runs/quick/reconcile",
    "/runs/quick/plan",
)


@pytest.mark.parametrize("path", POSTS)
def test_read_only_means_read_only(view: Served, path: str) -> None:
    """No form is taken, whatever it carries, and none is shown."""
    assert view.post(path).status_code == 403
    assert '<form method="post"' not in view.get("/runs/quick").text
    assert view.get("/start").status_code == 404


@pytest.mark.parametrize("path", POSTS)
def test_a_form_of_another_site_is_refused(acting: Served, path: str, quick: Path) -> None:
    """Without the session's mark, with a wrong one, from another origin; and nothing has changed."""
    before = (quick / "events.db").stat().st_size
    for form in ({}, {"form": ""}, {"form": "x"}, {"form": acting.access.token}):
        assert acting.client.post(path, data=form).status_code == 403
    good = {"form": acting.access.form_token}
    assert acting.client.post(path, data=good, headers={"Origin": "http://evil.example"}).status_code == 403
    assert acting.client.post(path, data=good, headers={"Origin": "null"}).status_code == 403
    assert httpx.post(f"{acting.base}{path}", data=good, trust_env=False).status_code == 401
    assert acting.client.get(path).status_code in (200, 404, 405)
    assert (quick / "events.db").stat().st_size == before


def test_a_form_is_bounded(acting: Served) -> None:
    """A form of many megabytes is not read."""
    assert acting.client.post("/start/check", content=b"x" * 2_000_000).status_code == 413


def test_other_methods_change_nothing(acting: Served) -> None:
    """PUT and DELETE have no page."""
    for method in ("PUT", "DELETE", "PATCH"):
        assert acting.client.request(method, "/runs/quick").status_code in (403, 405, 413)
