"""Positions of keys, judged by cutting them out and reading them again."""

from __future__ import annotations

import tomllib
from typing import Any

import tomlkit
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bot.config.lines import locate
from bot.schema.problems import Path

DOCUMENT = '''# title
top = 1
"quo\\"ted" . 'lit.eral' = { x = [1, { deep = "}]" }], "" = 2 }
text = """
[not.a.table]
x = "1" \\""" still """""
raw = \'\'\'it\'s "#" \'\'\'
when = 1979-05-27 07:32:00  # a space inside
list = [ # comment ]
  1,
  [2, "a,]"],   # trailing
]

[a.b]   # implies a
c.d.e = 1
c.d.f = 2

[[tracks]]
every = "1m"
  [tracks.sub]
  x = 1
[[ "tracks" ]]
every = "2m"
[[tracks.inner]]
y = 1
[[tracks.inner]]
y = 2
[a]
z = 0
'''


def line_of(text: str, path: Path) -> int:
    return text.count("\n", 0, locate(text)[path].start) + 1


def test_every_shape_of_toml() -> None:
    lines = {
        ("top",): 2,
        ('quo"ted',): 3,
        ('quo"ted', "lit.eral", "x", 1, "deep"): 3,
        ('quo"ted', "lit.eral", ""): 3,
        ("text",): 4,
        ("raw",): 7,
        ("list",): 9,
        ("list", 0): 10,
        ("list", 1, 1): 11,
        ("a", "b"): 14,
        ("a", "b", "c"): 15,
        ("a", "b", "c", "d", "f"): 16,
        ("tracks",): 18,
        ("tracks", 0): 18,
        ("tracks", 0, "sub", "x"): 21,
        ("tracks", 1): 22,
        ("tracks", 1, "every"): 23,
        ("tracks", 1, "inner", 1, "y"): 27,
        ("a",): 28,
        ("a", "z"): 29,
    }
    assert {path: line_of(DOCUMENT, path) for path in lines} == lines
    judge(DOCUMENT)


def test_windows_line_ends() -> None:
    text = DOCUMENT.replace("\n", "\r\n")
    assert line_of(text, ("tracks", 1, "every")) == 23
    judge(text)


SCALARS = st.one_of(
    st.integers(-(2**60), 2**60), st.text(max_size=20), st.booleans(), st.floats(allow_nan=False)
)
NAMES = st.text(max_size=6)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=150)
@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_any_document(data: dict[str, Any]) -> None:
    try:
        text = tomlkit.dumps(data)
        tomllib.loads(text)
    except Exception:  # noqa: BLE001 - what tomlkit cannot write is not what is tested here
        assume(False)
    judge(text)


def judge(text: str) -> None:
    """Each leaf's span, read on its own, is the leaf's value, and nothing is left over."""
    spans = locate(text)
    leaves = dict(walk(tomllib.loads(text), ()))
    assert leaves.keys() <= spans.keys()
    for path, value in leaves.items():
        cut = text[spans[path].start : spans[path].end]
        if isinstance(path[-1], int):
            read: Any = tomllib.loads(f"x = {cut}")["x"]
        else:
            read = tomllib.loads(cut)
            while isinstance(read, dict):
                (read,) = read.values()
        assert read == value


def walk(value: Any, path: Path) -> Any:
    if isinstance(value, dict | list) and value:
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from walk(inner, (*path, key))
    elif not isinstance(value, dict | list):
        yield path, value
