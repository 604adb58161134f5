"""The page around a sheet: one file that asks nobody for anything."""

from pathlib import Path
from typing import Final

from flotilla.show.tear_sheet.html import Html, element

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Says to the browser what is so anyway: there is no script in it, and nothing that it loads."""

_STYLE: Final = Path(__file__).with_name("sheet.css")


def page(title: str, *inside: str) -> str:
    """The whole document."""
    head = (
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Html(_STYLE.read_text(encoding="utf-8"))),
    )
    body = element("body", element("main", *inside))
    return f"<!doctype html>\n{element('html', element('head', *head), body, lang='en')}\n"
