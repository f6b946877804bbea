"""The report of a result: one page that says what the file says, escapes all of it, and needs nothing else."""

import base64
import errno
import hashlib
import html
import json
import re
import shutil
import tomllib
from html.parser import HTMLParser

import h5py
import numpy as np
import pytest
from support.configs import small
from support.daily import some
from support.sweeps import Silent

import particles as mf
from particles import report
from particles.errors import InputError, StorageError
from particles.experiments import summary
from particles.experiments.claims import Settings, Study, at_most, below, vacuous, within
from particles.experiments.plan import plan
from particles.experiments.sweep import run_sweep
from particles.plotting.style import panels
from particles.population.observables import OBSERVABLES
from particles.report.formulas import formulas

NASTY = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "../../x",
    "]]>",
    "</style>",
    "$\\frac{",
    "\x00\ud800",
]
MOST = 5_000_000


class Reader(HTMLParser):
    """A page as its elements and its text, by Python's own parser."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.tables, self.open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open = tag
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_data(self, data):
        self.text.append(data)
        if self.open in ("td", "th", "span", "caption") and self.tables and self.tables[-1] and self.tables[-1][-1]:
            self.tables[-1][-1][-1] += data.strip()

    def handle_endtag(self, tag):
        self.open = ""

    def of(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def read(path):
    text = path.read_text(encoding="utf-8")
    return text, Reader(text)


def rows(reader, first):
    """The rows of the table whose first heading is this."""
    return next(table[1:] for table in reader.tables if table and table[0][0] == first)


@pytest.fixture
def run(cloud, samples):
    """A maker of runs in files."""

    def make(path, record=("loss", "position", "output_weight"), steps=4, d=3, **settings):
        made = mf.simulate(
            mf.Network("tanh"),
            cloud(d=d),
            samples(d=d),
            mf.GradientDescent(0.1),
            steps=steps,
            record=record,
            **settings,
        )
        return made.save(path)

    return make


@pytest.fixture
def study(tmp_path):
    """A maker of studies' files."""

    def make(name="circle", text="the order", settings=None):
        import xarray

        class Numbers(Settings):
            """Numbers."""

            n: int = 3
            word: str = settings or "plain"

        claims = [within(text, "(7)", 2.0, 1.93, 1.8, 2.04), at_most("the bound", "3.1", 0.5, 0.75, 0.7, 0.8),
                  vacuous(below("the width", "3.1", 1e17, 64.0), cannot_fail=True)]  # fmt: skip
        data = xarray.Dataset({"loss": ("time", [1.0, 0.5, 0.2])}, {"time": [0.0, 1.0, 2.0]})
        figure, axes = panels(1)
        axes[0].plot([0, 1], [0, 1], label="a")
        Study(name, Numbers(), tmp_path / "study", True).finish(claims, data, figure)
        return tmp_path / "study" / f"{name}.h5"

    return make


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A small sweep beside its limit, in a folder."""
    settings = ("start.count=[8, 16, 32]", "start.seed=[0, 1, 2]", "limit.nodes=256", "method.step=[0.1, 0.05]")
    made = plan(
        small(*settings, 'record.variables=["loss", "prediction", "position"]', "record.positions=8"),
        tmp_path_factory.getbasetemp(),
    )
    out = tmp_path_factory.mktemp("out") / "small"
    run_sweep(made, out, Silent(), threads=1)
    summary.write(made, out)
    return made, out


@pytest.fixture(scope="module")
def swept_page(swept):
    """The report of that sweep: its text and its elements."""
    return read(report.write(swept[1]))


def attribute(path, **values):
    """Change attributes of a file's root."""
    with h5py.File(path, "r+") as file:
        file.attrs.update(values)


def test_report__is_one_file_that_asks_for_nothing(tmp_path, run):
    text, reader = read(report.write(run(tmp_path / "a.h5")))
    kept = {"img": "src", "link": "href", "script": "src", "iframe": "src", "object": "data", "source": "src"}
    addresses = [attrs[kept[tag]] for tag, attrs in reader.tags if tag in kept and kept[tag] in attrs]
    assert addresses and all(address.startswith("data:") for address in addresses)
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|https?://", re.sub(r'src="data:[^"]*"', "", text))


def test_report__policy_allows_its_own_style_and_script_alone(tmp_path, run):
    text, reader = read(report.write(run(tmp_path / "a.h5")))
    policy = next(
        attrs["content"] for attrs in reader.of("meta") if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'none'" and directives["img-src"] == "data:"
    for tag in ("style", "script"):
        (inner,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert directives[f"{tag}-src"] == f"'sha256-{digest}'"
    assert not any(name.startswith("on") or name == "style" for _, attrs in reader.tags for name in attrs)


def test_report__goes_beside_the_file_or_where_it_is_told(tmp_path, run):
    path = run(tmp_path / "a.h5")
    assert report.write(path) == tmp_path / "report.html"
    assert report.write(path, tmp_path / "other.html") == tmp_path / "other.html"
    (tmp_path / "there").mkdir()
    assert report.write(path, tmp_path / "there") == tmp_path / "there" / "report.html"


def test_report__is_not_written_over_its_result(tmp_path, run):
    path = run(tmp_path / "a.h5")
    before = path.read_bytes()
    with pytest.raises(InputError, match="must not overwrite"):
        report.write(path, path)
    assert path.read_bytes() == before


def test_report__is_the_same_for_the_same_result(tmp_path, run):
    path = run(tmp_path / "a.h5")
    assert report.write(path, tmp_path / "1.html").read_bytes() == report.write(path, tmp_path / "2.html").read_bytes()


def test_report__shows_a_studys_claims_with_their_verdicts(study):
    _, reader = read(report.write(study()))
    assert rows(reader, "claim") == [
        ["the order", "(7)", "2", "1.93", "[1.8, 2.04]", "holds"],
        ["the bound", "3.1", "<= 0.5", "0.75", "[0.7, 0.8]", "does not hold"],
        ["the width", "3.1", "<= 1e+17", "64", "", "vacuous"],
    ]
    text = "".join(reader.text)
    assert "1 of 2 claims do not hold" in text and "1 of 2 claims hold, 1 is vacuous." in text


def test_report__of_a_studys_folder_is_that_of_its_file(tmp_path, study):
    path = study()
    assert report.write(path.parent, tmp_path / "1").read_bytes() == report.write(path, tmp_path / "2").read_bytes()


def test_report__gives_a_studys_command_and_settings(study):
    text, _ = read(report.write(study()))
    assert "python drivers/studies/circle.py --config circle-again.toml --out out/circle-again --quick" in text
    assert tomllib.loads(code(text))["quick"] == {"n": 3, "word": "plain"}


def code(text):
    """The configuration on the page, as a reader would copy it."""
    (inner,) = re.findall(r'id="config"><code>(.*?)</code>', text, re.DOTALL)
    return html.unescape(inner)


def test_report__of_a_sweep_has_the_exponents_of_its_file(swept, swept_page):
    (_, out), (_, reader) = swept, swept_page
    with h5py.File(out / "sweep.h5") as file:
        found = [float(file[f"comparison/{k}/exponent"][()]) for k in range(2)]
    table = rows(reader, "setting")
    exponents = next(table[1:] for table in reader.tables if table[0][1] == "predicted")
    assert table and [float(row[2]) for row in exponents] == pytest.approx(found, rel=1e-4)
    assert {row[1] for row in exponents} == {"-1/2"}


def test_report__configuration_of_a_sweep_plans_the_same_runs(swept, swept_page):
    (made, _), (text, _) = swept, swept_page
    again = plan(tomllib.loads(code(text)), made.folder)
    assert {case.key for case in again.cases} == {case.key for case in made.cases}
    assert again.name == "small-again"


@pytest.mark.parametrize("infinite", [False, True], ids=["finite", "limit"])
def test_report__configuration_of_a_sweeps_run_plans_that_run(tmp_path, swept, infinite):
    made, out = swept
    case = next(case for case in made.cases if bool(case.nodes) == infinite)
    text, _ = read(report.write(out / "runs" / f"{case.key}.h5", tmp_path / "run.html"))
    assert case.key in {again.key for again in plan(tomllib.loads(code(text)), made.folder).cases}


def test_report__shows_finite_and_infinite_cloud_on_one_clock(swept_page):
    text, _ = swept_page
    film = json.loads(re.search(r'id="film-data">(.*?)</script>', text, re.DOTALL).group(1))
    assert [panel["label"] for panel in film["panels"]] == ["M = 32", "M infinite"]
    assert "The cloud is that of step = 0.1." in text
    assert len(film["titles"]) == len(film["ticks"]) == 4


@pytest.mark.slow
def test_report__says_which_runs_of_a_sweep_are_missing(tmp_path, swept):
    made, out = swept
    shutil.copytree(out, tmp_path / "small")
    (tmp_path / "small" / "runs" / f"{made.cases[0].key}.h5").unlink()
    attribute(tmp_path / "small" / "runs" / f"{made.cases[1].key}.h5", status="diverged")
    _, reader = read(report.write(tmp_path / "small"))
    words = "".join(reader.text)
    total = len(made.cases)
    assert f"1 of {total} runs have no file" in words and f"1 of {total} runs diverged" in words
    assert {row[-1] for row in rows(reader, "run")[:2]} == {"missing", "diverged"}


def test_report__says_which_runs_of_a_sweep_cannot_be_read_now(tmp_path, swept, unreadable):
    made, out = swept
    shutil.copytree(out, tmp_path / "small")
    with unreadable(errno.EACCES, lambda path: path.parent.name == "runs"):
        _, reader = read(report.write(tmp_path / "small"))
    words = "".join(reader.text)
    assert f"{len(made.cases)} of {len(made.cases)} runs cannot be read now" in words and "damaged" not in words
    assert {row[-1] for row in rows(reader, "run")} == {"unreadable"}
    assert "The moving cloud is left out: " in words and "cannot be read now: Permission denied" in words


def test_report__film_holds_the_recorded_positions(tmp_path, run):
    """The coordinates on the page, unpacked by hand, are the file's."""
    path = run(tmp_path / "a.h5", d=2)
    text, _ = read(report.write(path))
    film = json.loads(re.search(r'id="film-data">(.*?)</script>', text, re.DOTALL).group(1))
    low, high = np.array(film["box"])
    levels = np.frombuffer(base64.b64decode(film["panels"][0]["points"]), "<u2").reshape(5, 5, 2)
    positions = mf.open_run(path).dataset["position"].values
    assert low + levels / 65534 * (high - low) == pytest.approx(positions, abs=1e-4 * float((high - low).max()))


def test_report__says_how_to_record_positions_where_there_are_none(tmp_path, run):
    text, reader = read(report.write(run(tmp_path / "a.h5", record=("loss",))))
    assert "film-data" not in re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert "To see the cloud move, record it" in "".join(reader.text)
    assert any("after the last iteration" in attrs.get("alt", "") for attrs in reader.of("img"))


@pytest.mark.parametrize("d", some([1, 2, 5], 2))
@pytest.mark.parametrize("record", [(), ("loss",), ("position",)], ids=["nothing", "loss", "position"])
def test_report__is_there_whatever_was_recorded(tmp_path, run, d, record):
    _, reader = read(report.write(run(tmp_path / "a.h5", record, d=d)))
    assert len(reader.of("h1")) == 1


def test_report__is_loud_about_a_run_that_diverged(tmp_path, cloud, samples):
    with pytest.raises(mf.DivergedError) as caught:
        mf.simulate(
            mf.Network("relu"), cloud(), samples(), mf.GradientDescent(1e4), steps=200, record=("loss", "position")
        )
    _, reader = read(report.write(caught.value.run.save(tmp_path / "a.h5")))
    assert reader.of("aside") and "This run diverged" in "".join(reader.text)
    assert "smaller one" in "".join(reader.text)


def test_report__tells_faults_and_resumes(tmp_path, run):
    path = run(tmp_path / "a.h5")
    attribute(path, events=json.dumps([{"iteration": 3, "what": "a shard was lost"}]))
    _, reader = read(report.write(path))
    assert rows(reader, "iteration") == [["3", "a shard was lost"]]


@pytest.mark.parametrize("nasty", some(NASTY, *NASTY[:2]))
def test_report__escapes_what_a_run_says(tmp_path, run, nasty):
    path = run(tmp_path / "a.h5")
    config = {"network": nasty, nasty: {nasty: [nasty]}, "record": nasty}
    attribute(path, config=json.dumps(config), events=json.dumps([{"iteration": 0, "what": nasty}]))
    plain = nasty.replace("\x00", "").replace("\ud800", "") or "plain"
    attribute(path, git=plain, cpu=plain, status=plain, package_versions=json.dumps({nasty: nasty}), platform=plain)
    with h5py.File(path, "r+") as file:
        name = plain.replace("/", "|")
        file.move("loss", name)
        file[name].attrs["long_name"] = file[name].attrs["equation"] = plain
    check_harmless(report.write(path))


@pytest.mark.parametrize("nasty", some(NASTY[:-1], NASTY[0]))
def test_report__escapes_what_a_study_says(study, nasty):
    path = study(text=nasty, settings=nasty)
    attribute(path, study=nasty, size=nasty)
    check_harmless(report.write(path))


@pytest.mark.slow
def test_report__escapes_the_name_of_its_folder(tmp_path, swept):
    folder = tmp_path / "<script>alert(1)<" / "x'\"><b onclick=y>"
    shutil.copytree(swept[1], folder)
    check_harmless(report.write(folder))


def check_harmless(page):
    """The page has the elements of any page, one script of its own, and no handler."""
    text, reader = read(page)
    known = (
        "html head meta title link style body a header p h1 nav ul li main aside strong section h2 div table caption "
    )
    known += (
        "thead tr th tbody td span figure img figcaption b button label input output script pre code details summary "
    )
    known += "math mrow mi mo mn msub msup msubsup mfrac msqrt mspace"
    assert {tag for tag, _ in reader.tags} <= set(known.split())
    scripts = [attrs for tag, attrs in reader.tags if tag == "script"]
    assert sum(not attrs for attrs in scripts) == 1 and all(
        attrs.get("type", "application/json") == "application/json" for attrs in scripts
    )
    assert not any(name.startswith("on") or name == "style" for _, attrs in reader.tags for name in attrs)
    assert len(reader.of("h1")) == 1 and text.rstrip().endswith("</html>")


def test_report__begins_with_the_verdict_and_the_figures(swept_page):
    _, reader = swept_page
    sections = [attrs["id"] for attrs in reader.of("section")]
    assert sections == ["theory", "figures", "cloud", "numbers", "run", "faults", "origin", "again"]


def test_report__shows_the_settings_that_play_a_part(swept, swept_page):
    """Those of the file and which problem it is; no radius of a law that has none."""
    _, reader = swept_page
    shown = {row[0]: row[1] for row in rows(reader, "setting")} | {
        row[0]: row[1] for table in reader.tables for row in table[1:] if table[0] == ["setting", "value"]
    }
    assert shown["network.activation"] == "tanh" and shown["loss"] == "squared"
    assert shown["start.count"] == "8, 16, 32 (an axis)" and "256 and 512" in shown["limit.nodes"]
    given = mf.open_run(next((swept[1] / "runs").glob("*.h5"))).dataset.mf.config
    assert "radius" in given["law"] and "split_seed" in given["data"]
    assert not {"law.radius", "law.low", "data.split_seed", "method.average"} & shown.keys()


@pytest.mark.parametrize(
    ("text", "tags", "words"),
    [
        ("distance ~ M^-0.491, 95%", {"msup"}, "distance ~ M\u22120.491, 95%"),
        ("times sqrt(M)", {"msqrt"}, "times M"),
        ("L_n and g_inf", {"msub"}, "Ln and g\u221e"),
        ("a run of M neurons, step_size", set(), "a run of M neurons, step_size"),
        ("(int |b - b_1|^2 dmu)^(1/2)", {"msup", "msub"}, None),
    ],
)
def test_formulas__are_mathematics_and_the_rest_is_text(text, tags, words):
    reader = Reader(str(formulas(text)))
    assert tags <= {tag for tag, _ in reader.tags} and bool(reader.of("math")) == bool(tags)
    if words is not None:
        assert "".join(reader.text) == words


@pytest.mark.parametrize("name", OBSERVABLES)
def test_formulas__of_observables_have_no_letters_for_signs(name):
    """No `int`, `alpha` or power of a formula in letters is left outside of the mathematics."""
    text = str(formulas(OBSERVABLES[name].long_name))
    assert not re.search(r"\bint\b|\balpha\b|\^|\bdmu\b|<=", re.sub(r"<math.*?</math>", "", text))


@pytest.mark.parametrize("nasty", [*NASTY, "M^-1<b>", "g_<i>", "$x$ \\frac M^(<script>)"])
def test_formulas__escape_what_is_around_them(nasty):
    known = {"math", "mrow", "mi", "mo", "mn", "msub", "msup"}
    assert {tag for tag, _ in Reader(str(formulas(nasty))).tags} <= known


@pytest.mark.slow  # dozens of figures
def test_report__thins_what_is_too_much_and_says_so(tmp_path, run):
    path = run(tmp_path / "a.h5", record=("loss", "position"), steps=300)
    many = {
        "network": "x",
        "recorded_iterations": list(range(200_000)),
        **{f"setting_{k}": "y" * 900 for k in range(900)},
    }
    with h5py.File(path, "r+") as file:
        file.attrs.create(
            "events", json.dumps([{"iteration": k, "what": "z" * 20} for k in range(900)]), dtype=h5py.string_dtype()
        )
        del file.attrs["config"]
        file.attrs.create("config", json.dumps(many), dtype=h5py.string_dtype())
        (time,) = (name for name in file if name == "time")
        for k in range(60):
            item = file.create_dataset(f"quantity_{k}", data=np.random.default_rng(k).random(301))
            item.dims[0].attach_scale(file[time])
    page = report.write(path)
    words = "".join(read(page)[1].text)
    assert page.stat().st_size < MOST
    assert "The first 24 of 61 quantities are drawn." in words
    assert "of 902 rows; the file has all of them." in words
    assert "too many for a page" in words


def test_report__thins_a_cloud_of_many_particles_and_times(tmp_path):
    random = np.random.default_rng(0)
    start = mf.Measure(random.standard_normal((3000, 2)), np.ones(3000), np.full(3000, 1 / 3000))
    data = mf.Dataset(random.standard_normal((5, 2)), random.standard_normal(5))
    made = mf.simulate(mf.Network("tanh"), start, data, mf.GradientDescent(0.1), steps=200, record=("position",))
    page = report.write(made.save(tmp_path / "a.h5"))
    assert page.stat().st_size < MOST
    assert "600 drawn by weight of 3000 particles" in page.read_text()


REFUSED = {
    "nothing": (lambda folder: folder / "none.h5", "no such file"),
    "text": (lambda folder: (folder / "a.h5", (folder / "a.h5").write_text("x"))[0], "is no result of this program"),
    "empty folder": (lambda folder: folder, "holds no sweep.h5"),
    "other HDF5": (lambda folder: (folder / "b.h5", h5py.File(folder / "b.h5", "w").close())[0], "is no result"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_report__refuses_what_is_no_result(tmp_path, case):
    make, message = REFUSED[case]
    with pytest.raises(StorageError, match=message):
        report.write(make(tmp_path))
    assert not (tmp_path / "report.html").exists()


def test_report__of_a_sweep_that_has_not_ended_says_how_to_go_on(tmp_path):
    (tmp_path / "runs").mkdir()
    with pytest.raises(StorageError, match="Run the same command again"):
        report.write(tmp_path)


DAMAGED = [("config", "{"), ("config", "[1]"), ("events", '"x"')]


@pytest.mark.parametrize(("name", "value"), DAMAGED)
def test_report__refuses_a_damaged_attribute_by_its_name(tmp_path, run, name, value):
    path = run(tmp_path / "a.h5")
    attribute(path, **{name: value})
    with pytest.raises(StorageError, match=f"attribute '{name}'"):
        report.write(path)


def test_report__refuses_runs_that_are_other_folders_files(tmp_path, swept):
    shutil.copy(swept[1] / "sweep.h5", tmp_path / "sweep.h5")
    attribute(tmp_path / "sweep.h5", runs=json.dumps({"../../secret": {"count": 1}}))
    with pytest.raises(StorageError, match="'runs'"):
        report.write(tmp_path)


@pytest.mark.slow
def test_report__of_a_run_of_several_settings_shows_a_limit_of_the_same_setting(swept, monkeypatch):
    """Each step has a limit of its own; the film's two clouds come from runs of one step."""
    from particles.report import film, source

    opened = []
    monkeypatch.setattr(film, "open_root", lambda path: opened.append(path) or source.open_root(path))
    report.write(swept[1])
    runs = source.read(swept[1]).runs
    finite, limit = (runs[path.stem] for path in opened)
    assert (finite["nodes"], limit["nodes"]) == (0, 512) and finite["step"] == limit["step"]


def test_report__refuses_a_comparison_without_its_exponent(tmp_path, swept):
    shutil.copytree(swept[1], tmp_path / "small")
    with h5py.File(tmp_path / "small" / "sweep.h5", "r+") as file:
        del file["comparison/0/exponent"]
    with pytest.raises(StorageError, match="lacks exponent"):
        report.write(tmp_path / "small")
