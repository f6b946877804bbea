"""Links from a page to the repository's files outside docs: a file is given to the reader, a folder is named."""

import re
from pathlib import Path

from sphinx.application import Sphinx

_LINK = re.compile(r"\[([^\]]*)\]\(((?:\.\./)+[^)#\s]*)(#[^)\s]*)?\)")


def _read(app: Sphinx, page: str, content: list[str]) -> None:
    root, folder = Path(app.srcdir).resolve(), Path(app.env.doc2path(page)).resolve().parent

    def given(link: re.Match[str]) -> str:
        goal = (folder / link[2]).resolve()
        if goal.is_relative_to(root):
            return link[0]
        return link[1] if goal.is_dir() else f"[{link[1]}](path:{link[2]})"

    content[0] = _LINK.sub(given, content[0])


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}
