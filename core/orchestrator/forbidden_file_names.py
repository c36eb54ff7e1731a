"""Places where a tool runs or trusts what it finds: names that no file of a run may have."""

from collections.abc import Iterable
from typing import Final

FOLDERS: Final = frozenset(
    {
        *(".git", ".hg", ".svn", ".jj", "git~1", ".ssh", ".gnupg", ".aws", ".kube", ".docker"),
        *(".vscode", ".idea", ".fleet", ".zed", ".vim", ".nvim", ".emacs.d"),
        *(".claude", ".cursor", ".codex", ".gemini", ".windsurf", ".continue", ".aider", ".roo", ".kiro"),
        *(".devcontainer", ".github", ".gitlab", ".circleci", ".buildkite", ".woodpecker", ".forgejo", ".gitea"),
        *(".husky", ".githooks", ".yarn", ".cargo", ".bundle", ".gradle", ".mvn", ".config", ".local", ".direnv"),
        *("site-packages", "__pypackages__", ".venv"),
    }
)
"""Folders whose content a tool would run or trust on the user's behalf, in lower case."""

FILES: Final = frozenset(
    {
        *(".envrc", ".env", ".mcp.json", ".npmrc", ".yarnrc", ".yarnrc.yml", ".pnpmfile.cjs", ".pypirc", ".netrc"),
        *(".gitlab-ci.yml", ".travis.yml", ".drone.yml", ".cirrus.yml", "azure-pipelines.yml", "jenkinsfile"),
        *(".pre-commit-config.yaml", ".pre-commit-config.yml", ".lefthook.yml", "lefthook.yml", ".overcommit.yml"),
        *(".gitattributes", ".gitmodules", ".gitconfig", ".hgrc"),
        *("sitecustomize.py", "usercustomize.py"),
        *(".bashrc", ".bash_profile", ".bash_login", ".bash_logout", ".bash_aliases", ".profile", ".login"),
        *(".zshrc", ".zshenv", ".zprofile", ".zlogin", ".zlogout", ".kshrc", ".cshrc", ".tcshrc", ".inputrc"),
        *(".vimrc", ".exrc", ".nvimrc", ".gdbinit", ".lldbinit", ".tmux.conf", ".screenrc", ".xinitrc", ".xsession"),
        *(".mise.toml", "mise.toml", ".tool-versions", ".rtx.toml", ".autoenv", ".env.local", ".envrc.local"),
        *(".cursorrules", ".windsurfrules", ".clinerules", ".aider.conf.yml"),
    }
)
"""Files that a tool would run or trust on the user's behalf, in lower case."""


def is_reserved(part: str) -> bool:
    """Whether no part of a path below an output folder may be called so."""
    name = part.casefold()
    return name in FOLDERS or name in FILES or (name.endswith(".pth") and len(name) > 4)


def is_run_by_tools(parts: Iterable[str]) -> bool:
    """Whether a path, from the working folder, leads where tools run what they find; hidden places all count."""
    return any(is_reserved(part) or (part.startswith(".") and part not in (".", "..")) for part in parts)
