"""What pytest leaves out where PyTorch is missing."""

from importlib.util import find_spec
from pathlib import Path

import pytest

# Its examples train a flow.
FLOW = Path(__file__).parent / "skgengeo" / "density" / "_flow.py"
collect_ignore = [] if find_spec("torch") and find_spec("zuko") else [str(FLOW)]


def pytest_collection_modifyitems(items):
    """Mark them as `deep`, as the tests of flows are."""
    for item in items:
        if item.path == FLOW:
            item.add_marker(pytest.mark.deep)
