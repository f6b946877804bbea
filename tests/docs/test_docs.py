"""The documentation site builds without a warning, its links lead somewhere, and it has every public name once."""

import os
import re
import subprocess
import sys
import zlib
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest
from support import ROOT, face

pytestmark = pytest.mark.slow

DOCS = ROOT / "docs"


def files():
    return {path for path in DOCS.rglob("*") if path.is_file() and "_build" not in path.parts}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built anew, warnings as errors."""
    for package in ("sphinx", "furo", "myst_nb", "sphinx_copybutton"):
        pytest.importorskip(package, reason="the documentation needs pip install -e '.[docs]'")
    out, before = tmp_path_factory.mktemp("docs") / "html", files()
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-b", "html", DOCS, out]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert files() == before  # nothing is left in the tree
    return out


class Page(HTMLParser):
    """What a page has: ids to lead to, links, and what the reader's browser fetches by itself."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.fetched = set(), [], []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        has = dict(attrs)
        self.ids |= {has[name] for name in ("id", "name") if has.get(name)}
        if tag == "a" and "href" in has:
            self.links.append(has["href"])
        elif tag in ("script", "img", "source", "iframe", "video") and "src" in has:
            self.fetched.append(has["src"])
        elif tag == "link" and has.get("rel") in ("stylesheet", "icon", "preload"):
            self.fetched.append(has["href"])


@pytest.fixture(scope="module")
def pages(site):
    return {path.resolve(): Page(path) for path in site.rglob("*.html")}


def astray(pages, path, link):
    """Why a link leads nowhere, or None."""
    parts = urlsplit(link)
    if parts.scheme in ("http", "https", "mailto", "data"):
        return None
    goal = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not goal.is_file():
        return "no such file"
    if parts.fragment and goal in pages and unquote(parts.fragment) not in pages[goal].ids:
        return "no such place"
    return None


def test_site__has_all_its_pages(site, pages):
    sources = {path.relative_to(DOCS) for path in files() if path.suffix in (".md", ".rst", ".ipynb")}
    assert {site.resolve() / path.with_suffix(".html") for path in sources} <= pages.keys()


def test_site__has_no_link_that_leads_nowhere(site, pages):
    checked = [(path, link) for path, page in pages.items() for link in (*page.links, *page.fetched)]
    assert len(checked) > 500
    wrong = [(str(path.relative_to(site.resolve())), link, why) for path, link in checked
             if (why := astray(pages, path, link))]  # fmt: skip
    assert not wrong


def test_site__fetches_nothing_from_elsewhere(pages):
    asked = {link for page in pages.values() for link in page.fetched}
    assert asked and not [link for link in asked if urlsplit(link).netloc]


def test_site__shows_what_the_notebooks_show(site):
    """The build executes them, and keeps them with their outputs; it fails where one writes to stderr."""
    from jupyter_cache import get_cache

    cache = get_cache(site.parent / ".jupyter_cache")
    executed = {Path(record.uri).name: cache.get_cache_bundle(record.pk).nb for record in cache.list_cache_records()}
    assert executed.keys() == {path.name for path in (DOCS / "notebooks").glob("*.ipynb")}
    for name, book in executed.items():
        assert "cell_output" in (site / "notebooks" / name).with_suffix(".html").read_text()
        for cell in (cell for cell in book.cells if cell.cell_type == "code"):
            kinds = {kind for output in cell.outputs for kind in output.get("data", {})}
            assert ("image/png" in kinds) == (".mf.plot(" in cell.source)


@pytest.fixture(scope="module")
def described(site):
    """How often each Python name is described: from the inventory, four lines and then compressed ones."""
    raw = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    rows = (line.split() for line in zlib.decompress(raw).decode().splitlines())
    return Counter(name for name, kind, priority, *_ in rows if kind.startswith("py:") and priority != "-1")


def test_reference__has_every_public_name_once(described):
    paths = {}
    for path, made in face.names():
        paths.setdefault(id(made), []).append(path)
    counts = {tuple(known): sum(described[path] for path in known) for known in paths.values()}
    assert len(counts) > 100
    assert not {known: count for known, count in counts.items() if count != 1}


@pytest.mark.parametrize(
    ("page", "table"), [("observables", "OBSERVABLES"), ("networks", "ACTIVATIONS"), ("data", "SETS")]
)
def test_reference__shows_every_row_of_a_table(site, page, table):
    from particles.data import known_sets
    from particles.model import activations
    from particles.population import observables

    rows = next(getattr(module, table) for module in (activations, known_sets, observables) if hasattr(module, table))
    text = (site / "reference" / f"{page}.html").read_text()
    assert rows and not [name for name in rows if f'<span class="pre">{name}</span>' not in text]


def test_mathematics__is_set_as_mathematics(pages, site):
    """All seven equations, and no page shows the signs of TeX: code and URLs have none."""
    text = (site / "mathematics.html").read_text()
    assert text.count("<math ") > 150 and all(f"({number})" in text for number in range(1, 8))
    for path in (path for path in pages if "genindex" not in path.name):
        shown = re.sub(r"<(pre|script|code|title|head)\b.*?</\1>", "", path.read_text(), flags=re.DOTALL)
        assert not re.findall(r"\$[^$<]*\\[a-z]+", shown), path.name


def test_bibliography__has_every_entry_of_its_file_and_no_other():
    entries = re.findall(r"^@\w+\{(\w+),$(.*?)^\}$", (DOCS / "bibliography.bib").read_text(), re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| `(\w+)`(\\\*)? \|", (DOCS / "bibliography.md").read_text(), re.MULTILINE)
    assert len(rows) > 30 and dict(rows).keys() == {key for key, _ in entries} and len(rows) == len(entries)
    assert {key for key, star in rows if star} == {key for key, fields in entries if "note = " in fields}
    assert all(f"  {name} = " in fields for _, fields in entries for name in ("author", "title", "year"))


PAGES = ["mathematics", "faq", "coming_from", "command_line", "reference/bounds"]


@pytest.mark.browser
@pytest.mark.parametrize("width", [1300, 400])
def test_page__is_as_wide_as_the_window_and_cuts_no_code_off(browser, site, width):
    page = browser.new_page(viewport={"width": width, "height": 900})
    for name in PAGES:
        page.goto((site / f"{name}.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        code = ".highlight-python pre, .highlight-sh pre, .highlight-toml pre"
        wide = f"[...document.querySelectorAll('{code}')].filter(box => box.scrollWidth > box.clientWidth + 1).length"
        assert page.evaluate(wide) == 0, name
        blocks = page.locator("div.highlight").count()
        assert blocks == 0 or page.locator("div.highlight > button.copybtn").count() == blocks, name
    page.close()


@pytest.mark.browser
@pytest.mark.parametrize(
    ("words", "found"),
    [("predict", "Questions and answers"), ("CSV", "The command line"), ("array job", "From one machine to a cluster"),
     ("softmax", "Questions and answers"), ("glossary", "Glossary"), ("margin", "The mathematics")],
)  # fmt: skip
def test_search__finds(browser, site, words, found):
    page = browser.new_page()
    page.goto(f"{(site / 'search.html').as_uri()}?q={quote(words)}")
    page.locator("#search-results li a").first.wait_for()
    page.wait_for_function("document.querySelector('.search-summary')?.textContent.match(/found/)")
    assert any(found in title for title in page.locator("#search-results li > a").all_text_contents())
    page.close()
