"""The exporter ``opentelemetry``: traces and metrics over OTLP/HTTP, by the conventions for generative AI.

It needs the extra ``otel``. Without ``endpoint`` the standard variables (``OTEL_EXPORTER_OTLP_ENDPOINT`` and its like)
say where to; headers come from the environment only, and go only to an address of the environment.
"""

from typing import Final
from urllib.parse import unquote

from orchestrator.spi import Exporter, ExporterConfig, SpecError, hookimpl
from orchestrator_exporters.options import Options

_HEADERS: Final = (
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
)


@hookimpl
def orchestrator_exporter(config: ExporterConfig) -> Exporter:
    """Build the exporter from ``endpoint`` (a base URL), ``service_name``, ``attributes`` and ``project``."""
    options = Options(config)
    endpoint, service = options.text("endpoint"), options.text("service_name")
    attributes, project = options.texts("attributes"), options.text("project")
    headers = [name for name in _HEADERS if config.secret(name)]
    if endpoint is not None and not endpoint.startswith(("http://", "https://")):
        options.refuse("endpoint is the URL of a collector, such as http://127.0.0.1:4318")
    if endpoint is not None and headers:
        options.refuse(
            f"{headers[0]} is for an address of the environment: take endpoint out and set OTEL_EXPORTER_OTLP_ENDPOINT"
        )
    options.done()
    try:
        from orchestrator_exporters.sending_to_collector import OpenTelemetryExporter
    except ModuleNotFoundError as error:
        raise SpecError(
            [f"exporters.{config.name}: {error.name} is not installed: pip install 'multi-llm-orchestrator[otel]'"]
        ) from error
    own = {"service.name": service} if service else {}
    return OpenTelemetryExporter(
        endpoint, {**_from(config), **own, **attributes}, config.variable("TRACEPARENT"), project
    )


def _from(config: ExporterConfig) -> dict[str, str]:
    """What the standard variables say of the resource, which an option of the spec replaces."""
    named = (each.partition("=") for each in (config.variable("OTEL_RESOURCE_ATTRIBUTES") or "").split(","))
    given = {name.strip(): unquote(value.strip()) for name, _, value in named if name.strip()}
    service = config.variable("OTEL_SERVICE_NAME") or given.get("service.name") or "multi-llm-orchestrator"
    return {**given, "service.name": service}
