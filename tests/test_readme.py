"""The example of the README runs, and prints what its comment says."""

import re
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"


def test_the_example_prints_what_it_says(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    exec(code, {})
    said = re.findall(r"\d\.\d\d", code.splitlines()[-1].partition("#")[2])
    assert capsys.readouterr().out.split() == said
    assert len(said) == 2


def test_its_links_lead_somewhere():
    links = re.findall(r"\]\(([^)]+)\)", README.read_text("utf-8"))
    local = [link for link in links if not link.startswith("https://")]
    assert local
    assert not [link for link in local if not (README.parent / link).exists()]
