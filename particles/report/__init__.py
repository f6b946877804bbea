"""A result as one page of HTML that needs nothing else: `write` makes it."""

from particles.report.page import write

__all__ = ["write"]
