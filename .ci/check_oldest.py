"""Check that .ci/oldest.txt pins exactly the lower bounds of pyproject.toml."""

import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
TESTED_EXTRAS = ("plot", "test", "fmm")


def lower_bounds():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = list(project["dependencies"])
    for extra in TESTED_EXTRAS:
        lines += project["optional-dependencies"][extra]
    requirements = [Requirement(line) for line in lines]
    return _versions((r for r in requirements if r.name != project["name"]), ">=")


def pins():
    text = (ROOT / ".ci" / "oldest.txt").read_text()
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    return _versions((Requirement(line) for line in lines if line), "==")


def _versions(requirements, operator):
    return {
        requirement.name: specifier.version
        for requirement in requirements
        for specifier in requirement.specifier
        if specifier.operator == operator
    }


def main():
    bounds, pinned = lower_bounds(), pins()
    wrong = [
        f"{name}: pyproject.toml has >={bounds.get(name)}, "
        f".ci/oldest.txt has =={pinned.get(name)}"
        for name in sorted(bounds.keys() | pinned.keys())
        if bounds.get(name) != pinned.get(name)
    ]
    if wrong:
        sys.exit("\n".join(["Lower bounds disagree:", *wrong]))
    print(f"The {len(bounds)} lower bounds agree with .ci/oldest.txt.")


if __name__ == "__main__":
    main()
