"""React with Vite, in TypeScript."""

from orchestrator.spi import Launch, Scaffold, hookimpl
from orchestrator_scaffolds.fixed import Fixed

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>$title</title>
</head>
<body>
  <div id="root"></div>
  <script type="module" src="/src/main.tsx"></script>
</body>
</html>
"""

_MAIN = """import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import App from "./App";

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
"""

_APP = """export default function App() {
  return <h1>$title</h1>;
}
"""

_TSCONFIG = """{
  "compilerOptions": {
    "target": "ES2022",
    "lib": ["ES2022", "DOM", "DOM.Iterable"],
    "module": "ESNext",
    "moduleResolution": "bundler",
    "jsx": "react-jsx",
    "strict": true,
    "noEmit": true,
    "skipLibCheck": true
  },
  "include": ["src"]
}
"""

SCAFFOLD = Fixed(
    files={
        "index.html": _PAGE,
        "src/main.tsx": _MAIN,
        "src/App.tsx": _APP,
        "tsconfig.json": _TSCONFIG,
        "vite.config.ts": 'import { defineConfig } from "vite";\n\nexport default defineConfig({});\n',
    },
    guidance=(
        "A React application in TypeScript, built by Vite. `src/App.tsx` exports the component `App` by default; "
        "further components are in `src/components/`, hooks in `src/hooks/`, styles beside what they style. "
        "`index.html`, `src/main.tsx`, `package.json` and the configuration exist."
    ),
    dependencies=("react", "react-dom", "vite", "typescript"),
    launches=(
        Launch(
            ("node", "node_modules/vite/bin/vite.js", "build"),
            tools=("node",),
            folders=("node_modules",),
        ),
    ),
)


@hookimpl
def orchestrator_scaffold() -> Scaffold:
    """Return the scaffold."""
    return SCAFFOLD
