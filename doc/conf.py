"""Sphinx configuration. The site builds without a network."""

import skgengeo

project = "skgengeo"
author = "the skgengeo developers"
copyright = "2026, the skgengeo developers"
version = release = skgengeo.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
    "numpydoc",
    "myst_parser",
]
exclude_patterns = ["_build", "_templates"]
templates_path = ["_templates"]
default_role = "literal"

# Equations and figures are numbered, so that docstrings can cite them: :eq:`eq-cost`.
numfig = True
math_numfig = True
numfig_secnum_depth = 0
math_eqref_format = "({number})"

# One page per object: a class with all its methods below it.
autosummary_generate = True
autodoc_member_order = "groupwise"
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False

# References to other packages stay plain text; ours must resolve.
_FOREIGN = (
    "array|bool|callable|float|int|joblib|matplotlib|ndarray|numpy|np|object|"
    "pandas|polars|scipy|sklearn|sparse|str|torch|tuple|umap"
)
nitpick_ignore_regex = [
    (r"py:.*", rf"({_FOREIGN})(\..*)?"),
    # what scikit-learn's inherited docstrings cite
    (r"py:.*", r"(Pipeline|self|estimator instance|MetadataRequest|routing)"),
    (r"std:ref", r"(metadata_routing|set_output|df_output_transform)"),
    (r"std:ref", r"sphx_glr_auto_examples_(?!plot_).*"),
    (r"std:term", r".*"),
]

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_",
    "abort_on_example_error": True,
    "backreferences_dir": "api/generated/backreferences",
    "doc_module": ("skgengeo",),
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "skgengeo"
html_logo = "_static/logo.svg"
html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files = ["skgengeo.css"]
# The header leads to these pages, which have none below them.
_WITHOUT_SIDEBAR = [
    "index",
    "quickstart",
    "extending",
    "benchmarks",
    "changes",
    "auto_examples/*",
]
html_sidebars = {page: [] for page in _WITHOUT_SIDEBAR}
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "skgengeo"},
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
}
