"""Filter expressions on a post's metadata: `likes >= 10 and "hoodie" in hashtags`.

A small part of Python's expressions. Python's parser reads them; nothing is executed.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

from bot.core import normal_form as text
from bot.core.errors import UsageError
from bot.core.events import Post
from bot.schema.problems import did_you_mean
from bot.schema.values import parse_day

Filter = Callable[[Post], bool]
LONGEST = 2000  # characters; the limits of the parser are far higher

# What a filter may ask of a post, in its normal form.
NAMES: dict[str, Callable[[Post], Any]] = {
    "author": lambda post: text.username(post.author.username),
    "caption": lambda post: text.words(post.caption),
    "comments": lambda post: post.comment_count,
    "hashtags": lambda post: tuple(map(text.hashtag, post.hashtags)),
    "images": lambda post: len(post.media),
    "likes": lambda post: post.like_count,
    "mentions": lambda post: tuple(map(text.username, post.mentions)),
    "pinned": lambda post: post.pinned,
    "place": lambda post: text.words(post.place.name) if post.place else "",
    "taken": lambda post: post.taken_at,
    "url": lambda post: text.url(post.url),
}
# The normal form of what such a name is compared with.
_NORMAL: dict[str, Callable[[str], Any]] = {
    "author": text.username,
    "caption": text.words,
    "hashtags": text.hashtag,
    "mentions": text.username,
    "place": text.words,
    "taken": parse_day,
    "url": text.url,
}

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, many: item in many,
    ast.NotIn: lambda item, many: item not in many,
}


def parse_filter(wanted: str) -> Filter:
    """A test for posts. Raises UsageError that points at what is wrong.

    Texts are compared in the normal form of what they are (`bot.core.normal_form`); `taken` with a
    date, as in `taken >= "2026-01-31"`.
    A comparison with something the platform did not say (an unknown number of likes) is False.
    """
    if len(wanted) > LONGEST:
        raise UsageError(f"a filter is at most {LONGEST} characters long")
    try:
        tree = ast.parse(wanted.strip(), mode="eval").body
        test = _boolean(tree)
    except SyntaxError as error:
        raise UsageError(f"filter {wanted!r}: {error.msg} at {error.offset or 0}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"filter {wanted!r}: {error}") from None
    return test


def _boolean(node: ast.expr) -> Filter:
    if isinstance(node, ast.BoolOp):
        parts = [_boolean(value) for value in node.values]
        every = isinstance(node.op, ast.And)
        return lambda post: (all if every else any)(part(post) for part in parts)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = _boolean(node.operand)
        return lambda post: not inner(post)
    if isinstance(node, ast.Compare):
        return _comparison(node)
    if isinstance(node, ast.Name):
        value = _value(node)
        return lambda post: bool(value(post))
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        answer = node.value
        return lambda post: answer
    raise _wrong(node, "compare something, as in likes > 10")


def _comparison(node: ast.Compare) -> Filter:
    """`a < b < c` is true if each neighbouring pair is."""
    sides = [node.left, *node.comparators]
    asked = [side.id for side in sides if isinstance(side, ast.Name) and side.id in _NORMAL]
    values = [_value(side, _NORMAL[asked[0]] if asked else text.words) for side in sides]
    for kind in node.ops:
        if type(kind) not in _COMPARE:
            raise _wrong(node, "compare with ==, !=, <, <=, >, >=, in, not in")
    tests = [_COMPARE[type(kind)] for kind in node.ops]

    def holds(post: Post) -> bool:
        found = [value(post) for value in values]
        if any(item is None for item in found):
            return False
        try:
            pairs = zip(tests, found, found[1:], strict=False)
            return all(test(left, right) for test, left, right in pairs)
        except TypeError:  # a text with a number: never true
            return False

    return holds


def _value(node: ast.expr, normal: Callable[[str], Any] = text.words) -> Callable[[Post], Any]:
    if isinstance(node, ast.Name):
        if node.id not in NAMES:
            near = did_you_mean(node.id, NAMES) or f"; there are {', '.join(NAMES)}"
            raise _wrong(node, f"unknown name {node.id!r}{near}")
        return NAMES[node.id]
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float):
        value = normal(node.value) if isinstance(node.value, str) else node.value
        return lambda post: value
    if isinstance(node, ast.Tuple | ast.List):
        parts = [_value(item, normal) for item in node.elts]
        return lambda post: tuple(part(post) for part in parts)
    raise _wrong(node, "a value is a name, a number, a text in quotes or a list of them")


def _wrong(node: ast.expr, what: str) -> ValueError:
    return ValueError(f"{what} (at {node.col_offset + 1})")
