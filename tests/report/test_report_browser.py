"""The report in a browser: it looks, sorts, plays and prints as promised, and runs nothing but its own script.

Needs Chromium (Debian's package `chromium`, or CHROMIUM names the program), playwright and axe-playwright-python.
"""

import json
import re
import shutil

import h5py
import numpy as np
import pytest
from support.configs import small
from support.sweeps import Silent

import particles as mf
from particles import report
from particles.experiments import figures, summary
from particles.experiments.plan import plan
from particles.experiments.sweep import run_sweep

pytestmark = pytest.mark.browser

NASTY = '<img src=x onerror="window.broken=1;alert(1)"><script>window.broken=1</script></style>]]>\'"'
KINDS = ["sweep", "run", "nasty", "line", "classes"]
SLOW, AXE = 20_000, ("serious", "critical")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Reports by kind: a sweep with its figure, a run with its cloud, one with markup everywhere, one on the line."""
    folder = tmp_path_factory.mktemp("reports")
    settings = ("start.count=[8, 16, 32]", "start.seed=[0, 1, 2]", "limit.nodes=256")
    recorded = ('record.variables=["loss", "prediction"]', "steps=6")
    made, out = plan(small(*settings, *recorded), folder), folder / "small"
    run_sweep(made, out, Silent(), threads=1)
    figures.draw(made, out, summary.write(made, out))
    _run(2, 30).save(folder / "run.h5")
    _run(1, 4).save(folder / "line.h5")
    _run(3, 4).save(folder / "nasty.h5")
    _of_classes().save(folder / "classes.h5")
    _spoil(folder / "nasty.h5")
    found = {"sweep": report.write(out, folder / "sweep.html")}
    return found | {name: report.write(folder / f"{name}.h5", folder / f"{name}.html") for name in KINDS[1:]}


def _run(dim, steps):
    random = np.random.default_rng(0)
    data = mf.Dataset(random.standard_normal((7, dim)), random.standard_normal(7))
    start, record = mf.Gaussian(dim).sample(40, seed=0, signs="random"), ("loss", "position", "output_weight")
    return mf.simulate(mf.Network("tanh"), start, data, mf.GradientDescent(0.5), steps=steps, record=record)


def _of_classes():
    data = mf.Dataset(np.random.default_rng(0).standard_normal((8, 2)), [NASTY, "b", "c", "d"] * 2)
    start = mf.Gaussian(2).sample(40, seed=0, signs="unit", outputs=4)
    record = "accuracy", "position", "output_weight"
    return mf.simulate(
        mf.Network("tanh", outputs=4), start, data, mf.GradientDescent(0.5), steps=9, loss="softmax", record=record
    )


def _spoil(path):
    """Markup wherever a file can hold a text, an SVG that would do harm among it."""
    with h5py.File(path, "r+") as file:
        file.attrs["config"] = json.dumps({"network": NASTY, NASTY: NASTY, "list": [NASTY]})
        file.attrs["events"] = json.dumps([{"iteration": 1, "what": NASTY}, {"iteration": 0, "what": "resumed"}])
        file.attrs["status"] = file.attrs["git"] = file.attrs["cpu"] = NASTY
        file.attrs["package_versions"] = json.dumps({NASTY: NASTY})
        file.move("loss", NASTY.replace("/", "|"))


@pytest.fixture
def visit(browser, pages):
    """A maker of open pages that fails if anything is said, asked for or opened that should not be."""
    contexts, faults = [], []

    def make(kind, **settings):
        context = browser.new_context(
            **{"viewport": {"width": 1000, "height": 800}, "reduced_motion": "reduce"} | settings
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(SLOW)
        address = pages[kind].as_uri() if kind in pages else kind.as_uri()
        page.on("console", lambda told: faults.append(f"console: {told.text}"))
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (faults.append("a dialog"), dialog.dismiss()))
        page.on(
            "request",
            lambda asked: (
                None
                if asked.url == address or asked.url.startswith("data:")
                else faults.append(f"request: {asked.url[:80]}")
            ),
        )
        page.goto(address)
        return page

    yield make
    for context in contexts:
        context.close()
    assert not faults


@pytest.mark.parametrize("kind", KINDS)
def test_page__asks_for_nothing_and_says_nothing(visit, kind):
    page = visit(kind)
    page.wait_for_load_state("networkidle")
    assert page.title()


@pytest.mark.parametrize("kind", KINDS)
def test_page__has_figures_that_can_be_seen(visit, kind):
    sizes = visit(kind).eval_on_selector_all(
        "img", "all => all.map(one => [one.naturalWidth, one.naturalHeight, one.alt.length])"
    )
    assert sizes and all(width > 100 and height > 50 and words > 10 for width, height, words in sizes)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page__has_no_serious_fault_of_access(visit, kind, scheme):
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(visit(kind, color_scheme=scheme)).response["violations"]
    assert not [(fault["id"], fault["nodes"][0]["html"][:200]) for fault in found if fault["impact"] in AXE]


def test_page__is_dark_where_the_reader_wants_it_dark(visit):
    grounds = {
        scheme: visit("run", color_scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    }
    light, dark = (sum(map(int, re.findall(r"\d+", grounds[scheme])[:3])) for scheme in ("light", "dark"))
    assert light > 700 and dark < 150


@pytest.mark.parametrize("kind", KINDS)
def test_page__does_not_scroll_sideways_on_a_phone(visit, kind):
    page = visit(kind, viewport={"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.parametrize("kind", KINDS)
def test_page__has_no_table_or_figure_to_scroll_sideways_on_a_phone(visit, kind):
    page = visit(kind, viewport={"width": 400, "height": 800})
    page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true; })")
    wide = page.eval_on_selector_all(
        ".scroll, .paper, main",
        "all => all.filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.innerHTML)",
    )
    assert not [each[:300] for each in wide]


def test_page__draws_formulas_as_mathematics(visit):
    """A power stands higher than its base, whatever the fonts."""
    page = visit("sweep")
    base, power = (page.locator(f".lead math msup > :nth-child({place})").bounding_box() for place in (1, 2))
    assert power["y"] < base["y"] and power["x"] >= base["x"] + base["width"] - 1


def test_table__keeps_the_formula_of_a_heading_that_sorts(visit):
    assert visit("sweep").locator("th button msqrt").count() == 1


@pytest.mark.parametrize("width", [1000, 400])
def test_figures__of_a_phone_have_one_panel(visit, width):
    page = visit("sweep", viewport={"width": width, "height": 800})
    assert page.locator(".large-screen").first.is_visible() == (width > 640)
    assert page.locator(".small-screen").first.is_visible() == (width <= 640)


@pytest.mark.parametrize("kind", KINDS)
def test_page__links_lead_somewhere(visit, kind):
    page = visit(kind)
    ends = page.eval_on_selector_all("a", "all => all.map(one => one.getAttribute('href'))")
    assert len(ends) == 9
    assert all(end.startswith("#") and page.locator(end).count() == 1 for end in ends)


@pytest.mark.parametrize("way", ["click", "keyboard"])
def test_table__sorts_by_a_number_both_ways(visit, way):
    page = visit("sweep")
    table = page.locator("table", has=page.locator("caption", has_text="Recorded quantities")).first
    button = table.get_by_role("button", name="last loss")

    def press():
        if way == "click":
            button.click()
        else:
            button.focus()
            page.keyboard.press("Enter")
        return [float(text) for text in table.locator("tbody td:last-child").all_text_contents()]

    up, down = press(), press()
    assert len(set(up)) > 1 and up == sorted(up) and down == up[::-1]
    assert table.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    assert page.locator("#announcement").text_content() == "Sorted by last loss, descending"


def test_table__sorts_infinity_above_every_number(visit):
    page = visit("sweep")
    table = page.locator("table", has=page.locator("caption", has_text="Distance of predictions")).first
    button = table.get_by_role("button", name="M", exact=True)
    button.click()
    assert table.locator("tbody th").all_text_contents() == ["8", "16", "32", "infinity"]
    button.click()
    assert table.locator("tbody th").all_text_contents() == ["infinity", "32", "16", "8"]


def test_markup__of_a_file_is_text(visit):
    page = visit("nasty")
    page.wait_for_timeout(300)
    assert page.evaluate("window.broken") is None
    assert page.locator("img[src=x]").count() == 0
    assert NASTY in page.locator("#run").text_content()


def test_markup__in_a_figure_beside_the_file_is_not_run(visit, pages, tmp_path):
    """A sweep's SVG with a script, a handler, and addresses outside."""
    shutil.copytree(pages["sweep"].parent / "small", tmp_path / "small")
    harm = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="300" height="200" onload="top.broken=1;alert(1)">'
        '<script>top.broken=1;alert(1)</script><image href="http://localhost:9/a.png" width="9" height="9"/>'
        '<foreignObject width="9" height="9"><iframe xmlns="http://www.w3.org/1999/xhtml" src="http://localhost:9/"/>'
        "</foreignObject></svg>"
    )
    (tmp_path / "small" / "small.svg").write_text(harm)
    page = visit(report.write(tmp_path / "small"))
    page.wait_for_timeout(300)
    assert page.locator("#figures img").first.evaluate("one => one.naturalWidth") == 300
    assert page.evaluate("window.broken") is None


def seen(page):
    """What the canvas shows."""
    return page.locator("#film canvas").first.evaluate("one => one.toDataURL()")


def until(slider, number):
    """Wait for a slider's value: the page's policy lets no text of the test's be run on it."""
    from playwright.sync_api import expect

    expect(slider).to_have_value(re.compile(f"^{number}$"), timeout=SLOW)


def test_film__plays_once_when_it_comes_into_sight_and_pauses(visit):
    page = visit("run", reduced_motion="no-preference")
    time, button = page.locator("#film-time"), page.locator("#film-play")
    assert time.input_value() == "0"
    page.locator("#film").scroll_into_view_if_needed()
    until(time, "([3-9]|[12][0-9])")
    assert button.text_content() == "Pause"
    button.click()
    stopped, picture = time.input_value(), seen(page)
    page.wait_for_timeout(500)
    assert (time.input_value(), seen(page), button.text_content()) == (stopped, picture, "Play")
    button.click()
    until(time, "30")
    assert button.text_content() == "Play" and seen(page) != picture


def test_film__stands_still_for_who_wants_less_motion_until_asked(visit):
    page = visit("run", reduced_motion="reduce")
    page.locator("#film").scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    assert page.locator("#film-time").input_value() == "0"
    page.locator("#film-play").click()
    until(page.locator("#film-time"), "([2-9]|[1-3][0-9])")


@pytest.mark.parametrize("kind", ["run", "line"])
def test_film__goes_where_the_keys_say(visit, kind):
    page = visit(kind)
    before = seen(page)
    page.locator("#film-time").focus()
    page.keyboard.press("End")
    words = page.locator("#film-title").text_content()
    assert words.startswith("flow time t = ") and words != "flow time t = 0.00"
    assert page.locator("#film-time").get_attribute("aria-valuetext") == words
    assert words in page.locator("#film canvas").first.get_attribute("aria-label")
    assert seen(page) != before
    page.keyboard.press("Home")
    assert seen(page) == before


def test_film__without_script_is_a_picture_of_both_ends(visit):
    page = visit("run", java_script_enabled=False)
    assert page.locator("#film-still img").is_visible() and not page.locator("#film").is_visible()


def test_page__prints_with_pictures_instead_of_the_film(visit):
    page = visit("run")
    printed = page.pdf()
    assert printed.startswith(b"%PDF") and len(printed) > 20_000
    page.emulate_media(media="print")
    assert page.locator("#film-still img").is_visible() and not page.locator("#film").is_visible()
    assert not page.locator("nav").is_visible()


def test_page__prints_what_is_folded(visit):
    page = visit("run")
    assert not page.locator("#run table").first.is_visible()
    page.pdf()
    assert page.locator("#run table").first.is_visible()


def test_configuration__is_copied_whole(visit):
    from playwright.sync_api import expect

    page = visit("sweep")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("summary", has_text=".toml").click()
    page.get_by_role("button", name="Copy the configuration").click()
    expect(page.locator("#announcement")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#config").text_content()


def test_page__first_key_skips_to_the_content(visit):
    page = visit("run")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_film__names_classes_beside_their_colours(visit):
    keys = visit("classes").locator("#film-keys .key")
    assert keys.all_text_contents() == sorted(["b", "c", "d", NASTY[:20]])
    colours = keys.locator("span").evaluate_all("all => all.map(one => getComputedStyle(one).backgroundColor)")
    assert len(set(colours)) == 4
