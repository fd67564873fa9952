"""The page around drawings."""

from __future__ import annotations

from importlib.resources import files

from petitlm.drawings.fragments import safe


def document(title: str, *fragments: str, maker: str = "petit look") -> str:
    """Return a whole page; nothing in it is fetched from anywhere, which its policy also forbids."""
    style = (files("petitlm.drawings") / "page.css").read_text("utf-8")
    return ('<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
            f'img-src data:"><title>{safe(title)} · {safe(maker)}</title><style>{style}</style></head>'
            f"<body><main><h1>{safe(title)}</h1>{''.join(fragments)}</main></body></html>\n")


def section(title: str, *fragments: str) -> str:
    """Return fragments under a heading."""
    return f"<section><h2>{safe(title)}</h2>{''.join(fragments)}</section>"
