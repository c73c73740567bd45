"""A machine that is not the one at hand."""

from types import SimpleNamespace

import psutil


def available_memory(monkeypatch, n_bytes):
    """So much memory is available, until the test ends."""
    machine = SimpleNamespace(available=n_bytes)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: machine)
