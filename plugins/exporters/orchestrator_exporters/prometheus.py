"""The exporter ``prometheus``: a text file for node_exporter, an HTTP endpoint for long runs, or the text itself."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from orchestrator.spi import Exporter, ExporterConfig, Metrics, hookimpl
from orchestrator_exporters.exposition import bounded_exposition, exposition, is_exposition
from orchestrator_exporters.options import Options
from orchestrator_exporters.replaced_files import replace

_CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_READ_SECONDS: Final = 10.0


class PrometheusExporter(Exporter):
    """Replaces the file, and serves what was exported last under ``/metrics``: the file by run, the rest by project."""

    def __init__(
        self, config: ExporterConfig, path: Path | None, host: str, port: int | None, project: str | None = None
    ) -> None:
        self._write = config.write
        self._path = path
        self._address = None if port is None else (host, port)
        self._server: ThreadingHTTPServer | None = None
        self._project = project
        self._text = b""

    @property
    def address(self) -> tuple[str, int] | None:
        """Where the endpoint is, once something was exported."""
        return None if self._server is None else self._server.server_address[:2]  # type: ignore[return-value]

    def export(self, metrics: Metrics) -> None:
        """Publish the text; the endpoint is opened with the first one."""
        text = exposition(metrics)
        self._text = bounded_exposition(metrics, self._project).encode()
        if self._address is not None and self._server is None:
            self._open(*self._address)
        if self._path is not None:
            replace(self._path, text, is_exposition)
        elif self._address is None:
            self._write(text)

    def close(self) -> None:
        """Close the endpoint."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def _open(self, host: str, port: int) -> None:
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            timeout = _READ_SECONDS

            def do_GET(self) -> None:
                found = self.path.partition("?")[0] == "/metrics"
                body = exporter._text if found else b"see /metrics\n"
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", _CONTENT_TYPE)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name is inherited
                """Scrapes are no news."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        threading.Thread(target=self._server.serve_forever, daemon=True, name="orchestrate-prometheus").start()


@hookimpl
def orchestrator_exporter(config: ExporterConfig) -> Exporter:
    """Build the exporter from ``path``, ``port``, ``host`` and ``project``."""
    options = Options(config)
    path, port = options.path("path"), options.whole("port", 0, 65_535)
    host, project = options.text("host"), options.text("project")
    if host is not None and port is None:
        options.refuse("host belongs to port; say which port")
    options.done()
    return PrometheusExporter(config, path, host or "127.0.0.1", port, project)
