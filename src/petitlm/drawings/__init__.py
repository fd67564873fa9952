"""Drawings and tables as HTML, and the page around them: self-contained, without scripts, in light and dark, for the
eye, the keyboard and the ear. Behind each drawing is the table of its numbers."""

from petitlm.drawings.fragments import Digits, Table, cell_text, figure, html_table, safe, shortened, visible
from petitlm.drawings.grids import bars, heat, tokens
from petitlm.drawings.page import document, section
from petitlm.drawings.plots import lines, scatter

__all__ = ["Digits", "Table", "bars", "cell_text", "document", "figure", "heat", "html_table", "lines", "safe",
           "scatter", "section", "shortened", "tokens", "visible"]
