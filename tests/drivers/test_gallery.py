"""The gallery: its page and the README's block are what the drivers say today; its command, and studies that fail."""

import shutil

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image
from support import ROOT
from support.drivers import module_of

from particles.plotting import style

PICTURES = ROOT / "docs" / "gallery"
LARGEST, WHOLE = 120_000, 1_500_000  # bytes of a picture, of all


gallery = module_of("gallery")


def named():
    """The drivers that call `study(`: found by what they do, not by what they have beside them."""
    return {
        path.stem for path in (ROOT / "drivers" / "studies").glob("*.py") if "asked = study(" in path.read_text("utf-8")
    }


def test_studies__are_all_drivers_that_are_studies():
    assert {study.name for study in gallery.studies(ROOT)} == named()


STALE = "run: python drivers/gallery.py --text"


def test_page__is_what_the_command_would_write():
    assert (ROOT / "docs" / "gallery.md").read_text("utf-8") == gallery.page(ROOT), STALE


def test_readme__has_the_block_that_the_command_would_write():
    text = (ROOT / "README.md").read_text("utf-8")
    assert gallery.within_marks(text, gallery.block(ROOT)) == text, STALE


@pytest.mark.parametrize("name", sorted(named()))
def test_page__has_every_study_with_its_picture_and_command(name):
    page = (ROOT / "docs" / "gallery.md").read_text("utf-8")
    assert (
        f'<a id="{name}"></a>' in page
        and f"](gallery/{name}.png)" in page
        and f"](../drivers/studies/{name}.py)" in page
    )
    size = Image.open(PICTURES / f"{name}.png").text["Size"]
    assert f"python drivers/studies/{name}.py{' --quick' if size == 'quick' else ''}\n```" in page


def test_pictures__are_those_of_studies_and_small_enough_for_the_web():
    sizes = {path.stem: path.stat().st_size for path in PICTURES.iterdir()}
    assert sizes.keys() == named()
    assert max(sizes.values()) <= LARGEST and sum(sizes.values()) <= WHOLE


def test_pictures__say_what_they_show():
    for path in PICTURES.iterdir():
        kept = Image.open(path).text
        assert len(kept["Description"]) > 100 and "$" not in kept["Description"], path.name
        assert kept["Size"] in ("full", "quick")


def test_collect__keeps_colours_and_words(tmp_path):
    figure, (axes,) = style.panels(1)
    for k, colour in enumerate(style.PALETTE):
        axes.bar(k, 1.0, color=colour)
    axes.set_title("bars")
    source, _ = style.save(figure, tmp_path / "a")
    gallery.collect(source, tmp_path / "web" / "a.png", "full", "1 of 1 claims hold")
    small = Image.open(tmp_path / "web" / "a.png")
    assert small.text == {"Description": "bars.", "Size": "full", "Verdict": "1 of 1 claims hold"}
    there = np.array(small.convert("RGB")).reshape(-1, 3).astype(int)
    for colour in style.PALETTE:
        wanted = np.round(255 * np.array(to_rgb(colour)))
        assert np.abs(there - wanted).max(axis=1).min() <= 8


def test_readme__links_lead_to_places_on_the_page():
    page = (ROOT / "docs" / "gallery.md").read_text("utf-8")
    assert len(set(gallery.BEST)) == 6
    for name in gallery.BEST:
        assert f"(docs/gallery.md#{name})" in gallery.block(ROOT) and f'<a id="{name}">' in page


DOCSTRING = """A thing (section 2.1, Theorem 9): words.

Why not. Claims: a_1 is at most M* (Doe 2020); so b < 0.5
too. Then more.

    python drivers/studies/x.py [--quick]      full size: an hour; quick: a minute
"""


def test_read__takes_title_section_claims_and_times():
    found = gallery.read("x", DOCSTRING)
    assert found[1:] == (
        "A thing", "section 2.1, Theorem 9", "A_1 is at most M* (Doe 2020); so b < 0.5 too.",
        {"full": "an hour", "quick": "a minute"},
    )  # fmt: skip


@pytest.mark.parametrize("lost", ["(section 2.1, Theorem 9)", "Claims:", "full size:"])
def test_read__names_the_driver_that_lacks_something(lost):
    with pytest.raises(ValueError, match=r"drivers/studies/x\.py"):
        gallery.read("x", DOCSTRING.replace(lost, ""))


def test_plain__shows_markdown_s_signs_as_they_are():
    assert gallery.plain("mu* ~ W_2 [5] <b> #") == r"mu\* \~ W\_2 \[5\] \<b\> \#"


def test_prose__keeps_formulas():
    assert gallery.prose(r"W_2 is $W_2(\mu, \nu)$ *") == r"W\_2 is $W_2(\mu, \nu)$ \*"


DRIVER = '''"""{title} (section {section}): words.

Claims: it holds.

    full size: a minute; quick: a second
"""

import sys
from pathlib import Path

import xarray as xr

from particles.experiments.claims import Settings, below, study
from particles.plotting.style import panels


def main():
    asked = study("{name}", Settings)
    figure, axes = panels(1)
    axes[0].plot([1, 2], [3, 4], label="a line")
    {wrong}
    with open(asked.out.parent / "calls", "a") as calls:
        calls.write("{name} ")
    return asked.finish([below("it holds", "2", 1.0, {measured})], xr.Dataset(), figure)


if __name__ == "__main__":
    sys.exit(main())
'''


@pytest.fixture
def root(tmp_path):
    """A project of three studies: one holds, one does not, one ends with an error."""
    for folder in ("drivers/studies", "docs", "out"):
        (tmp_path / folder).mkdir(parents=True)
    cases = {"good": ("", 0.5), "bad": ("", 2.0), "ill": ("raise OSError", 0.5)}
    for number, (name, (wrong, measured)) in enumerate(cases.items(), 1):
        text = DRIVER.format(name=name, title=f"The {name}", section=f"2.{number}", wrong=wrong, measured=measured)
        (tmp_path / "drivers" / "studies" / f"{name}.py").write_text(text)
        (tmp_path / "drivers" / "studies" / f"{name}.toml").write_text("[full]\n[quick]\n")
    shutil.copy(ROOT / "drivers" / "gallery.py", tmp_path / "drivers")
    (tmp_path / "README.md").write_text(f"before\n{gallery.MARKS[0]}\nold\n{gallery.MARKS[1]}\nafter\n")
    return tmp_path


@pytest.mark.slow  # nine processes of drivers
def test_command__names_what_failed_and_goes_on(root, capfd, monkeypatch):
    monkeypatch.setattr(gallery, "BEST", ("good", "bad"))
    assert gallery.main(["--quick"], root) == 1
    told = capfd.readouterr()
    assert "failed, or a claim does not hold: bad, ill\n" in told.err and "Traceback" in told.err
    page = (root / "docs" / "gallery.md").read_text()
    assert [line for line in page.splitlines() if line.startswith("## ")] == ["## The good", "## The bad", "## The ill"]
    assert "quick size, a second: 1 of 1 claims hold" in page and "quick size, a second: 0 of 1 claims hold" in page
    assert {path.name for path in (root / "docs" / "gallery").iterdir()} == {"good.png", "bad.png"}
    assert (root / "README.md").read_text().startswith("before\n") and "old" not in (root / "README.md").read_text()
    # Run again: what is finished is not run, and no text changes.
    readme = (root / "README.md").read_text()
    assert gallery.main(["--quick", "--only", "good", "bad"], root) == 0
    assert (root / "out" / "calls").read_text() == "good bad "
    assert gallery.main(["--text"], root) == 0
    assert ((root / "docs" / "gallery.md").read_text(), (root / "README.md").read_text()) == (page, readme)
    # A quick result does not stand for a full one, nor the other way round is a full one made anew.
    assert gallery.main(["--only", "good"], root) == 0
    assert gallery.main(["--quick", "--only", "good"], root) == 0
    assert (root / "out" / "calls").read_text() == "good bad good "
    assert "full size, a minute: 1 of 1 claims hold" in (root / "docs" / "gallery.md").read_text()


def test_command__refuses_a_study_that_is_not_there(capsys):
    with pytest.raises(SystemExit) as ended:
        gallery.main(["--only", "nothing"])
    assert ended.value.code == 2 and "nothing" in capsys.readouterr().err
