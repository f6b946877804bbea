"""The notebooks are kept without outputs and use the public face; test_docs.py looks at what they show."""

import nbformat
import pytest
from support import ROOT

BOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def code_of(book):
    return [cell for cell in book.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_notebook__is_kept_without_outputs(path):
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code_of(book))


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_notebook__uses_the_public_face_only(path):
    code = "\n".join(cell.source for cell in code_of(nbformat.read(path, as_version=4)))
    assert "import particles as mf" in code and "from particles" not in code and "import particles." not in code
