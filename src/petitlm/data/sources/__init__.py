"""Sources: files of many formats read into texts that know their place and their licence."""

from petitlm.data.sources.files import format_of, read
from petitlm.data.sources.reading import FORMATS, REASONS, Bad, Pair, Raw, Reading

__all__ = ["FORMATS", "REASONS", "Bad", "Pair", "Raw", "Reading", "format_of", "read"]
