"""Every example in every docstring runs, on the modules users import."""

import doctest
import importlib
import pkgutil

import pytest

import sousa.builders
import sousa.cards
import sousa.loaders

MODULES = sorted(
    info.name
    for package in (sousa.builders, sousa.cards, sousa.loaders)
    for info in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
