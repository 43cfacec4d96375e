# SPDX-License-Identifier: Apache-2.0
"""Derives a sources file for another suite of Debian from the machine's own, so that no address is written down here.

Both of apt's formats are read: deb822 (`*.sources`) and one line a source (`sources.list`, `*.list`). The one that
matters is the main stanza: binary packages, the machine's own suite, component main. Everything in it that is not the
suite (address, keys, options) is kept as it stands.
"""

import re
from pathlib import Path

from .report import SetupError


class Deb822Stanza:
    def __init__(self, text: str):
        self.fields = {}  # lower-case name -> value with its continuation lines, in order
        name = None
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in (" ", "\t") and name:
                self.fields[name] += "\n" + line
            elif ":" in line:
                name, value = line.split(":", 1)
                name = name.strip().lower()
                self.fields[name] = value.strip()

    def words(self, name):
        return self.fields.get(name, "").split()

    def serves(self, suites) -> bool:
        return ("deb" in self.words("types") and "main" in self.words("components")
                and self.fields.get("enabled", "yes").lower() not in ("no", "false", "0", "off")
                and any(suite in suites for suite in self.words("suites")))

    def for_suite(self, suite: str) -> tuple[str, str]:
        fields = self.fields | {"types": "deb", "suites": suite, "components": "main"}
        return "sources", "".join(f"{name.title()}: {value}\n" for name, value in fields.items())


class OneLineStanza:
    LINE = re.compile(r"deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<address>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)")

    def __init__(self, line: str):
        match = self.LINE.fullmatch(line.split("#", 1)[0].strip())
        self.parts = match.groupdict() if match else None

    def serves(self, suites) -> bool:
        return bool(self.parts) and self.parts["suite"] in suites and "main" in self.parts["components"].split()

    def for_suite(self, suite: str) -> tuple[str, str]:
        options = f"[{self.parts['options']}] " if self.parts["options"] is not None else ""
        return "list", f"deb {options}{self.parts['address']} {suite} main\n"


def stanzas_of(path: Path):
    text = path.read_text(errors="replace")
    if path.suffix == ".sources":
        return [Deb822Stanza(block) for block in re.split(r"\n[ \t]*\n", text)]
    return [OneLineStanza(line) for line in text.splitlines()]


def own_codename(os_release: Path = Path("/etc/os-release")) -> str:
    match = re.search(r'^VERSION_CODENAME="?(\w+)"?$', os_release.read_text(), re.MULTILINE)
    if not match:
        raise SetupError(f"{os_release} names no VERSION_CODENAME; set-up knows Debian 12 (bookworm) and later")
    return match.group(1)


def main_stanza(etc_apt: Path, codename: str):
    """The first stanza that serves main of the machine's own suite."""
    files = [etc_apt / "sources.list", *sorted((etc_apt / "sources.list.d").glob("*"))]
    for path in files:
        if not path.is_file() or path.suffix not in (".list", ".sources"):
            continue
        for stanza in stanzas_of(path):
            if stanza.serves((codename, "stable")):
                return stanza
    raise SetupError(f"no source under {etc_apt} serves main of {codename}; set-up derives the other suites from it. "
                     f"Add one (see sources.list(5)) and run set-up again")
