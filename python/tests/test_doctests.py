"""The examples in the docstrings."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["", ".head", ".jobs", ".trunk", ".store", ".comparison", "._words", "._pictures"])
def test_examples(name):
    module = importlib.import_module("cnn_codes" + name)
    assert doctest.testmod(module).failed == 0
