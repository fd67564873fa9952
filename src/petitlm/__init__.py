"""petit: one small language model. Run it, teach it, look inside it."""

__version__ = "0.1.0"
