"""Chromium out of Qt, one command a line on stdin, one answer a line on stdout: for machines without a browser."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("QTWEBENGINE_CHROMIUM_FLAGS", "--no-sandbox --disable-gpu")
os.environ.setdefault("QTWEBENGINE_DISABLE_SANDBOX", "1")


def main() -> None:
    """Answer until stdin ends."""
    from PyQt6.QtCore import QEventLoop, QTimer, QUrl
    from PyQt6.QtWebEngineCore import QWebEnginePage, QWebEngineProfile
    from PyQt6.QtWebEngineWidgets import QWebEngineView
    from PyQt6.QtWidgets import QApplication

    application = QApplication(sys.argv[:1])
    page = QWebEnginePage(QWebEngineProfile(application))
    view = QWebEngineView(page)
    view.show()

    def wait(milliseconds: int) -> None:
        loop = QEventLoop()
        QTimer.singleShot(milliseconds, loop.quit)
        loop.exec()

    def opened(url: str) -> bool:
        loop, found = QEventLoop(), [False]

        def done(is_loaded: bool) -> None:
            found[0] = is_loaded
            loop.quit()

        page.loadFinished.connect(done)
        view.load(QUrl(url))
        QTimer.singleShot(60_000, loop.quit)
        loop.exec()
        page.loadFinished.disconnect(done)
        wait(300)
        return found[0]

    def ran(code: str) -> Any:
        loop, found = QEventLoop(), [None]

        def done(value: Any) -> None:
            found[0] = value
            loop.quit()

        page.runJavaScript(code, done)
        QTimer.singleShot(60_000, loop.quit)
        loop.exec()
        return found[0]

    def sized(size: list[int]) -> None:
        view.resize(*size)
        wait(200)

    def printed(path: str) -> bool:
        loop, found = QEventLoop(), [False]

        def done(_: str, is_written: bool) -> None:
            found[0] = is_written
            loop.quit()

        page.pdfPrintingFinished.connect(done)
        page.printToPdf(path)
        QTimer.singleShot(60_000, loop.quit)
        loop.exec()
        page.pdfPrintingFinished.disconnect(done)
        return found[0]

    does: dict[str, Callable[[Any], Any]] = {
        "open": opened,
        "run": ran,
        "size": sized,
        "shot": lambda path: view.grab().save(path),
        "print": printed,
    }
    for line in sys.stdin:
        name, value = json.loads(line)
        sys.stdout.write(json.dumps(does[name](value)) + "\n")
        sys.stdout.flush()
    os._exit(0)  # Qt's own way out waits for processes that are gone


if __name__ == "__main__":
    main()
