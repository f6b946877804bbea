"""Formulas of a page as MathML, which browsers draw without a script or a font from elsewhere.

Texts of results have formulas in letters, `sup_t |g_M - g_inf|`. What is known here is set as mathematics; all else of
a text, whoever wrote it, is escaped.
"""

import re
from functools import lru_cache

from latex2mathml.converter import convert
from markupsafe import Markup, escape

from particles.escapes import escaped

# Of the texts in `population/observables.py`, `analysis/convergence.py` and of this page; the longest first.
KNOWN = {
    "sup_t |g_M - g_inf|_n": r"\sup_t \|g_M - g_\infty\|_n",
    "sup_t |g_M - g_inf|": r"\sup_t \|g_M - g_\infty\|_n",
    "(int |b - b_1|^2 dmu)^(1/2)": r"\left(\int \|b - b_1\|^2\, d\mu\right)^{1/2}",
    "(int |v|^2 dmu)^(1/2)": r"\left(\int \|v\|^2\, d\mu\right)^{1/2}",
    "alpha^2 int |v|^2 dmu": r"\alpha^2 \int \|v\|^2\, d\mu",
    "-dL_n/dt": r"-dL_n/dt",
    "max_r |b_r - b_r,1|": r"\max_r \|b_r - b_{r,1}\|",
    "|K_w - K_w1|_F / |K_w1|_F": r"\|K_w - K_{w_1}\|_F / \|K_{w_1}\|_F",
    "int |b|^p dmu": r"\int \|b\|^p\, d\mu",
    "int b^2 dmu": r"\int b^2\, d\mu",
    "int b dmu": r"\int b\, d\mu",
    "y g(x) <= 0": r"y\,g(x) \le 0",
    "y g(x)": r"y\,g(x)",
    "g(x_i)": r"g(x_i)",
    "sqrt(M)": r"\sqrt{M}",
    "M = infinity": r"M = \infty",
    "K_w1": r"K_{w_1}",
    "1/sqrt(n)": r"1/\sqrt{n}",
}
_NAMESPACE = ' xmlns="http://www.w3.org/1998/Math/MathML"'  # HTML knows it
# One letter with an index or a power, such as L_n, g_inf, M^p, M^-0.491 and M^(-1/2).
_LETTER = r"(?<![\w^])[A-Za-z](?:_(?:inf|[A-Za-z0-9])(?![\w]))?(?:\^(?:\(-?[\d./]+\)|-?[\d.]*\d|[a-z](?!\w)))?"
_FORMULA = re.compile("|".join([*map(re.escape, sorted(KNOWN, key=len, reverse=True)), _LETTER]))


def formulas(text: str) -> Markup:
    """A text, escaped, with the formulas that are known in it as MathML."""
    parts, end = [], 0
    for match in _FORMULA.finditer(text):
        formula = match.group()
        if formula not in KNOWN and len(formula) == 1:
            continue  # a letter alone may be a word
        parts += [escape(escaped(text[end : match.start()], keep="\n\t")), _mathml(formula)]
        end = match.end()
    return Markup("").join([*parts, escape(escaped(text[end:], keep="\n\t"))])


@lru_cache(maxsize=256)
def _mathml(formula: str) -> Markup:
    """A formula as MathML: nothing but letters, digits, ., /, (, ) and - of the text goes into it."""
    return Markup(convert(KNOWN.get(formula) or _tex(formula)).replace(_NAMESPACE, ""))


def _tex(formula: str) -> str:
    base, _, power = formula.partition("^")
    letter, _, index = base.partition("_")
    tex = letter + (f"_{{{index}}}" if index else "") + (f"^{{{power.strip('()')}}}" if power else "")
    return tex.replace("{inf}", r"{\infty}")
