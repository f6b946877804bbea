"""Formulas as MathML, which browsers show by themselves: no script, and nothing is fetched."""

import re

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

logger = logging.getLogger(__name__)

# docutils leaves open whether the bar of an absolute value or a norm opens or closes: browsers then set space about it.
_BAR = re.compile(r'<mo( class="mathopen")?>([|‖])</mo>')


def _markup(translator: HTML5Translator, node: nodes.math | nodes.math_block) -> str:
    text = node.astext()
    try:
        return _BAR.sub(_fence, tex2mathml(text, as_block=isinstance(node, nodes.math_block)))
    except MathError as error:
        logger.warning("%s in the formula %s", error, text, location=node)
        return translator.encode(text)


def _fence(bar: re.Match[str]) -> str:
    return f'<mo form="{"prefix" if bar[1] else "postfix"}" stretchy="false">{bar[2]}</mo>'


def _inline(translator: HTML5Translator, node: nodes.math) -> None:
    translator.body.append(_markup(translator, node))
    raise nodes.SkipNode


def _displayed(translator: HTML5Translator, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="math">{_markup(translator, node)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (_inline, None), (_displayed, None))
    return {"parallel_read_safe": True}
