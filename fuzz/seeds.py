"""Writes the inputs that fuzzing begins with: the cases of the tests and the examples of the repository.

    seeds.py TARGET DIRECTORY
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CASES = ROOT / "policy" / "tests" / "cases"
CONFIG = ROOT / "deploy" / "config"
SEEDS = ROOT / "fuzz" / "seeds"
LONGEST = 4096


def lines():
    """Every line of the corpus, without what the tests say about it."""
    for file in sorted(CASES.glob("*.txt")):
        for case in file.read_text().splitlines():
            if not case or re.match(r"##? ", case):
                continue
            text = case.split(" => ")[0] if file.name == "benign.txt" else case.split(" ", 1)[1]
            text = re.sub(r"<U\+([0-9A-F]+)>", lambda m: chr(int(m[1], 16)), text)
            yield re.sub(r"<(\d+)\*([^>]*)>", lambda m: m[2] * min(int(m[1]), 200), text)


def policies():
    """Each rule of each example as a policy of its own, and the short examples whole: long ones take long."""
    files = [*CONFIG.glob("*.yml"), *(ROOT / "cli" / "src").rglob("policy.yml")]
    for text in [file.read_text() for file in sorted(files)]:
        if len(text) <= LONGEST:
            yield text
        rules = re.split(r"(?m)^(?=  - id: )", text)
        for rule in rules[1:]:
            yield "version: 1\nrules:\n" + rule
    for block in re.findall(r"(?s)```yaml\n(.*?)```", (ROOT / "policy" / "README.md").read_text()):
        yield block


def inventories():
    yield (CONFIG / "hosts.example.yml").read_text()


def kept(target):
    """Inputs written for this target."""
    for file in sorted((SEEDS / target).glob("*")):
        yield file.read_text()


def main():
    target, directory = sys.argv[1], pathlib.Path(sys.argv[2])
    sources = {"line": lines, "policy": policies, "inventory": inventories}
    inputs = [*sources.get(target, lambda: [])(), *kept(target)]
    directory.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(inputs):
        (directory / f"{number:05}").write_bytes(text.encode())


main()
