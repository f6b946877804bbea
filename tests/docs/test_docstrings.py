"""Docstrings of the public face are in NumPy's form, and describe what a signature has: no more and no less."""

import inspect
import re

import pytest
from support import face

TITLE = re.compile(r"^(.+)\n(-{3,})$", re.MULTILINE)
TITLES = ["Parameters", "Attributes", "Returns", "Raises", "Notes", "References", "Examples"]  # in this order


def public():
    """Functions and classes, and the documented methods of the classes, by path."""
    for path, value in face.objects().items():
        yield path, value
        for name, method in vars(value).items() if isinstance(value, type) else ():
            if inspect.isfunction(method) and not name.startswith("_") and method.__doc__:
                yield f"{path}.{name}", method


OBJECTS = dict(public())


def sections(value):
    """The text under each title of a docstring, by title."""
    parts = TITLE.split(inspect.getdoc(value))
    assert all(len(title) == len(rule) for title, rule in zip(parts[1::3], parts[2::3], strict=True))
    return dict(zip(parts[1::3], parts[3::3], strict=True))


def entries(text):
    """The names that a section describes, in order: its lines that are not indented."""
    heads = [line.partition(" : ")[0] for line in text.splitlines() if line and not line.startswith(" ")]
    return [name.lstrip("*") for head in heads for name in head.split(", ")]


def arguments(value):
    """What a call takes; an exception's message is nobody's to document."""
    if isinstance(value, type) and issubclass(value, Exception):
        return list(inspect.get_annotations(value))
    return [name for name in inspect.signature(value).parameters if name != "self"]


@pytest.mark.parametrize("name", OBJECTS)
def test_sections__have_numpys_titles_in_their_order(name):
    titles = list(sections(OBJECTS[name]))
    assert titles == [title for title in TITLES if title in titles]


@pytest.mark.parametrize("name", OBJECTS)
def test_parameters__are_those_of_the_signature(name):
    described = sections(OBJECTS[name])
    assert entries(described.get("Parameters", "") + described.get("Attributes", "")) == arguments(OBJECTS[name])


@pytest.mark.parametrize("name", [name for name, value in OBJECTS.items() if inspect.isfunction(value)])
def test_function__says_what_it_returns(name):
    nothing = inspect.get_annotations(OBJECTS[name])["return"] in (None, "None")
    assert ("Returns" in sections(OBJECTS[name])) != nothing
