"""Platforms by name: what is loaded for it, and what a descriptor must agree with."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from bot.platforms import registry


def test_descriptors_load_no_sdk() -> None:
    code = (
        "import sys; from bot.platforms import registry; registry.descriptors();"
        "print([m for m in ('instagrapi', 'curl_cffi', 'numpy', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_name_without_a_package() -> None:
    assert registry.find("nowhere") is None
    for name in registry.names():
        found = registry.find(name)
        assert found is not None and found.name == name


def test_a_secret_is_a_key_of_the_accounts() -> None:
    (first, *_) = registry.descriptors()
    with pytest.raises(ValueError, match="no such settings: pasword"):
        replace(first, secrets=("pasword",))


def test_it_says_what_deletion_means_of_all_that_it_leaves() -> None:
    for one in registry.every():
        kind = next(step.leaves for step in one.ways.steps() if step.leaves)
        fewer = {name: said for name, said in one.deletion.items() if name != kind}
        with pytest.raises(ValueError, match=f"what deletion means of {kind}"):
            replace(one, deletion=fewer)
