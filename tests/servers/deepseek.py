"""DeepSeek as this machine plays it: every role is answered, and a run needs nothing but two variables."""

from orchestrator.models import ModelInfo
from tests.plugins.providers.vendor_server import VendorServer
from tests.plugins.providers.vendors import CANARY, VENDORS, built


def deepseek_server() -> VendorServer:
    """A server that sells DeepSeek's models at their prices, while its ``with`` block lasts."""
    models: dict[str, ModelInfo] = {model.id: model for model in built("deepseek").models()}
    return VendorServer("deepseek", models)


def reaching(server: VendorServer) -> dict[str, str]:
    """The environment that reaches it."""
    return {VENDORS["deepseek"].key: CANARY, VENDORS["deepseek"].address: server.base_url}
