"""The documentation site: `sphinx-build -W -n -b html docs docs/_build/html`. It asks the network for nothing."""

import importlib.metadata
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "meanfield-particles"
author = "meanfield-particles contributors"
release = importlib.metadata.version(project)
extensions = ["myst_nb", "sphinx.ext.autodoc", "signatures", "sphinx.ext.napoleon", "sphinx_copybutton"]
extensions += ["mathml", "repository", "tables"]  # with signatures: in docs/_ext
exclude_patterns = ["_build", "_ext"]

html_theme = "furo"
html_title = project
html_copy_source = html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["access.js"]
smartquotes = False  # texts quote code: "tanh",

html_math_renderer = "mathml"

# Markdown: links lead to headings too; $...$ and $$...$$ are formulas, as on GitHub and in Jupyter.
myst_heading_anchors = 3
myst_enable_extensions = ["dollarmath"]
myst_dmath_double_inline = True
copybutton_exclude = ".linenos, .gp, .go"  # of an example with prompts, the code alone
nb_execution_mode = "cache"  # a notebook is run again when its cells change
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_output_stderr = "error"

# The reference: the order and the grouping are the pages' own. Docstrings are in NumPy's form.
default_role = "code"
napoleon_google_docstring = napoleon_attr_annotations = False  # types stand in the signature alone
napoleon_use_param = napoleon_use_rtype = False  # what stands for a type is a shape, no name to link to
napoleon_custom_sections = [("Attributes", "params_style"), ("Raises", "params_style")]
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 100
nitpick_ignore_regex = [
    ("py:class", r"(collections|numpy|pathlib|xarray)\..*"),  # their pages are not ours, and nothing is fetched
    ("py:class", "ArrayLike|Axes|Event|LinearOperator|Runs"),  # imported for type checking only
    (
        "py:class",
        r"particles\..*\.(BlockView|Drift|Lengths|Linearised|Method|Noise|Population|Predictor|Problem|Profile|Purpose|Regulariser|Sample|Scene|Schedule|Stage|StoredMeasure)",
    ),  # that no user makes
]
