"""The card of a network as HTML: a small part of Markdown, and nothing else.

A card may come with a network of somebody else: raw HTML is shown as text, no picture is loaded,
and a link leads only to http or https.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from bot.verbs.pages import link

BELOW = 1  # the page has its own heading above those of the card


def card_html(text: str, name: str) -> str:
    """Headings (one level lower), lists, tables, code, emphasis, links. Safe in a page.

    A first line that is only the heading `name`, which the page has already, is left out.
    """
    return str(_parser().render(text.removeprefix(f"# {name}\n")))


@cache
def _parser() -> MarkdownIt:
    """Of CommonMark and its tables, without raw HTML and pictures."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image"])
    parser.validateLink = _leads  # type: ignore[method-assign]
    for kind in ("heading_open", "heading_close"):
        parser.add_render_rule(kind, _lower)
    parser.add_render_rule("link_open", _link)
    parser.add_render_rule("table_open", _table_open)
    parser.add_render_rule("table_close", _table_close)
    return parser


def _leads(url: str) -> bool:
    return bool(link(url))


def _lower(renderer: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    tokens[at].tag = f"h{min(6, int(tokens[at].tag[1:]) + BELOW)}"
    return renderer.renderToken(tokens, at, options, env)


def _link(renderer: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    tokens[at].attrSet("rel", "noreferrer noopener")
    return renderer.renderToken(tokens, at, options, env)


def _table_open(*_: object) -> str:
    """A wide table scrolls by itself, by keys as well."""
    name = 'role="region" aria-label="Table" tabindex="0"'
    return f'<div class="scroll" {name}><table class="compact figures-table">\n'


def _table_close(*_: object) -> str:
    return "</table></div>\n"
