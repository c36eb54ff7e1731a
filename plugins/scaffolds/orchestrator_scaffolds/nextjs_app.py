"""Next.js with the app router, in TypeScript."""

from orchestrator.spi import Launch, Scaffold, hookimpl
from orchestrator_scaffolds.fixed import Fixed

_LAYOUT = """import type { ReactNode } from "react";

export const metadata = { title: "$title" };

export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en">
      <body>{children}</body>
    </html>
  );
}
"""

_PAGE = """export default function Page() {
  return <h1>$title</h1>;
}
"""

_TSCONFIG = """{
  "compilerOptions": {
    "target": "ES2022",
    "lib": ["ES2022", "DOM", "DOM.Iterable"],
    "module": "ESNext",
    "moduleResolution": "bundler",
    "jsx": "preserve",
    "strict": true,
    "noEmit": true,
    "skipLibCheck": true,
    "plugins": [{ "name": "next" }]
  },
  "include": ["app", "components", "lib"]
}
"""

SCAFFOLD = Fixed(
    files={"app/layout.tsx": _LAYOUT, "app/page.tsx": _PAGE, "tsconfig.json": _TSCONFIG},
    guidance=(
        "A Next.js application in TypeScript with the app router: pages are `app/…/page.tsx`, handlers "
        "`app/api/…/route.ts`, components in `components/`, the rest in `lib/`. `app/layout.tsx`, `package.json` "
        "and the configuration exist."
    ),
    dependencies=("next", "react", "react-dom", "typescript"),
    launches=(
        Launch(("node", "node_modules/next/dist/bin/next", "build"), tools=("node",), folders=("node_modules",)),
    ),
)


@hookimpl
def orchestrator_scaffold() -> Scaffold:
    """Return the scaffold."""
    return SCAFFOLD
