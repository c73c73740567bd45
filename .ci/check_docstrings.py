"""Check that everything public is fully documented and listed in the API page.

The form of docstrings is left to `numpydoc lint`. Here: every parameter and return
value of every public class, method and function is described, every public class
and function has an example, and each stands in doc/api.rst.
"""

import importlib
import inspect
import re
import sys
from pathlib import Path

from numpydoc.validate import validate

ROOT = Path(__file__).resolve().parents[1]
PUBLIC_MODULES = (
    "skgengeo",
    "skgengeo.density",
    "skgengeo.geometry",
    "skgengeo.plotting",
)
CHECKS = {"GL08", "SS01", "PR01", "PR02", "PR07", "RT01", "RT03", "YD01"}


def public_objects():
    """Map each public object to the first dotted name that `__all__` gives it."""
    found = {}
    for module_name in PUBLIC_MODULES:
        module = importlib.import_module(module_name)
        for name in module.__all__:
            obj = getattr(module, name)
            if inspect.isclass(obj) or inspect.isfunction(obj):
                found.setdefault(obj, f"{module_name}.{name}")
    return {name: obj for obj, name in found.items()}


def own_methods(cls):
    """List public methods and properties that skgengeo itself defines."""
    for name, member in inspect.getmembers(cls):
        function = member.fget if isinstance(member, property) else member
        is_ours = (getattr(function, "__module__", None) or "").startswith("skgengeo")
        if is_ours and not name.startswith("_") and not inspect.isclass(member):
            yield name


def problems(name, checks):
    """List what numpydoc finds wrong with one object."""
    errors = validate(name)["errors"]
    return [f"{name}: {code} {text}" for code, text in errors if code in checks]


def main():
    """Print every problem and fail if there is one."""
    objects = public_objects()
    api_page = (ROOT / "doc" / "api.rst").read_text()
    listed = set(re.findall(r"^ +([\w.]+)$", api_page, flags=re.MULTILINE))
    wrong = []
    for name, obj in objects.items():
        if name.removeprefix("skgengeo.") not in listed:
            wrong.append(f"{name}: not listed in doc/api.rst")
        wrong += problems(name, CHECKS | {"EX01"})
        if inspect.isclass(obj):
            for method in own_methods(obj):
                wrong += problems(f"{name}.{method}", CHECKS)
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"The {len(objects)} public objects are documented.")


if __name__ == "__main__":
    main()
