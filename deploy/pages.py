"""Makes docs/ a site of its own (a hook of MkDocs): README.md begins it, and no link leads out of it to another file.

`make docs` builds it. The pages of the root become pages of the site; a link to a file that is none of its pages
leaves its words, since the site is also read where the repository is not.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
OF_THE_ROOT = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""The pages that lie beside docs/, and what the site calls them."""
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)#:]*)(#[^)]*)?\)")
_BLOCK = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


def on_files(files: Any, config: Any) -> Any:
    """The files of docs/, and those of the root."""
    from mkdocs.structure.files import File

    for source, name in OF_THE_ROOT.items():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:  # noqa: ARG001 - MkDocs names them
    """A page whose links lead to pages and pictures of the site."""
    name = page.file.src_uri
    folder = "" if name in OF_THE_ROOT.values() else posixpath.join("docs", posixpath.dirname(name))
    known = {file.src_uri for file in files}
    return within_the_site(markdown, folder, known)


def within_the_site(markdown: str, folder: str, known: set[str]) -> str:
    """A page that lies in a folder of the repository, with links among the `known` files of the site alone."""

    def led(link: re.Match[str]) -> str:
        picture, words, target, place = link.group(1), link.group(2), link.group(3), link.group(4) or ""
        if not target:
            return link.group(0)
        path = posixpath.normpath(posixpath.join(folder, target))
        there = OF_THE_ROOT.get(path, path.removeprefix("docs/"))
        if there not in known:
            return words
        here = posixpath.relpath(folder or "docs", "docs")
        return f"{picture}[{words}]({posixpath.relpath(there, here)}{place})"

    parts = _BLOCK.split(markdown)
    return "".join(part if part.startswith("```") else _LINK.sub(led, part) for part in parts)
