"""Show the source of each included agent."""

from __future__ import annotations

from pathlib import Path

from layercode_app.agent.shipped import BUILT_IN

from ..markdown import block


def pages() -> dict[str, str]:
    """Return a page for each agent file."""
    folder = next(path for path in BUILT_IN if path.is_dir())
    return {f"agent-{path.stem.replace('_', '-')}.md": _page(folder, path) for path in sorted(folder.glob("*.py"))}


def _page(folder: Path, path: Path) -> str:
    prompts = sorted((folder / "prompts").glob(f"{path.stem}*.md"))
    parts = [f"# agents/{path.name}\n", block(path.read_text(encoding="utf-8"), "python")]
    for prompt in prompts:
        parts += [f"## prompts/{prompt.name}\n", block(prompt.read_text(encoding="utf-8"), "markdown")]
    return "\n".join(parts)
