"""Static HTML: a page, its styles and its script."""

from orchestrator.spi import Ask, Launch, Scaffold, hookimpl
from orchestrator_scaffolds.fixed import Fixed

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>$title</title>
  <link rel="stylesheet" href="style.css">
  <script src="script.js" defer></script>
</head>
<body>
  <main>
    <h1>$title</h1>
  </main>
</body>
</html>
"""

_STYLE = """:root {
  color-scheme: light dark;
}

body {
  margin: 2rem auto;
  max-width: 60rem;
}
"""

SCAFFOLD = Fixed(
    files={
        "index.html": _PAGE,
        "style.css": _STYLE,
        "script.js": '"use strict";\n',
    },
    guidance=(
        "A static page without a build step: `index.html`, `style.css`, `script.js`, further files beside them. "
        "It opens from a folder, loads nothing from other hosts, works with a keyboard and on a phone."
    ),
    launches=(
        Launch(
            ("python", "-m", "http.server", "8000", "--bind", "127.0.0.1"),
            port=8000,
            asks=(Ask("/index.html", 400),),
        ),
    ),
)


@hookimpl
def orchestrator_scaffold() -> Scaffold:
    """Return the scaffold."""
    return SCAFFOLD
