"""Which addresses are this machine's own."""

from urllib.parse import urlsplit

from orchestrator.trust.addresses import is_loopback

__all__ = ["is_local", "is_loopback"]


def is_local(url: object) -> bool:
    """Whether a provider's ``base_url`` leads to this machine; no for whatever is no URL."""
    try:
        return isinstance(url, str) and is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False
