"""What a machine may lack that a test needs."""

import os

import pytest


def missing(what: str) -> None:
    """Skip a test for lack of a tool, but never where everything is checked."""
    (pytest.fail if "CI" in os.environ else pytest.skip)(what)
