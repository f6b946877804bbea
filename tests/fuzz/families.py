"""Importing this fills the table of cases."""

from fuzz import (  # noqa: F401
    array_files,
    arrays,
    attributes,
    configurations,
    folders,
    links,
    mutations,
    sizes,
    storage,
    tables,
    texts,
)
