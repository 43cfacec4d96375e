# SPDX-License-Identifier: Apache-2.0
"""Counts what ctest ran: the cases inside GoogleTest and unittest programs, or the program as one case.

ctest's own count would be one for each program, and would call a program passed whose cases were all skipped.
"""

import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

GTEST_CASE = re.compile(r"^\[ +(OK|FAILED|SKIPPED) +\] (\S+?),? .*\(\d+ ms\)$", re.MULTILINE)
GTEST_SKIP = re.compile(r"^\S+:\d+: Skipped\n((?:(?!\[).*\n)*?)\n*\[ +SKIPPED +\] (\S+) \(\d+ ms\)", re.MULTILINE)
UNITTEST_TOTAL = re.compile(r"^Ran (\d+) tests? in .*\n\n(?:OK|FAILED|NO TESTS RAN)(?: \((.*)\))?$", re.MULTILINE)
FIXTURE = re.compile(r"\b(setUp|tearDown)(Class|Module)\b")
UNITTEST_NAME = re.compile(r"^(\w+) \([\w.]+\)")
UNITTEST_SKIP = re.compile(r"\.\.\. skipped (['\"])(.*)\1$")


@dataclass
class Results:
    passed: int = 0
    failed: list[str] = field(default_factory=list)  # names
    skipped: list[tuple[str, str]] = field(default_factory=list)  # names and reasons

    def add(self, other: "Results"):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def total(self) -> int:
        return self.passed + len(self.failed) + len(self.skipped)


def gtest_results(program: str, output: str) -> Results | None:
    cases = GTEST_CASE.findall(output)
    if not cases:
        return None
    reasons = {name: " ".join(reason.split()) for reason, name in GTEST_SKIP.findall(output)}
    results = Results()
    for outcome, name in cases:
        if outcome == "OK":
            results.passed += 1
        elif outcome == "FAILED":
            results.failed.append(f"{program}: {name}")
        else:
            results.skipped.append((f"{program}: {name}", reasons.get(name, "no reason given")))
    return results


def unittest_results(program: str, output: str) -> Results | None:
    totals = UNITTEST_TOTAL.findall(output)
    if not totals:
        return None
    results = Results()
    for ran, details in totals:
        counts = Counter({word: int(number) for word, number in re.findall(r"([\w ]+)=(\d+)", details)})
        counts = Counter({word.strip(): number for word, number in counts.items()})
        failures = counts["failures"] + counts["errors"] + counts["unexpected successes"]
        failed = re.findall(r"^(?:FAIL|ERROR): (.*)$", output, re.MULTILINE)[:failures]
        skipped = unittest_skips(program, output)[:counts["skipped"]]
        # Whole classes that failed or were skipped in their set-up are not among those that ran.
        fixtures = len([name for name in failed + [name for name, _ in skipped] if FIXTURE.search(name)])
        results.passed += max(int(ran) - failures - counts["skipped"] + fixtures, 0)
        results.failed += [f"{program}: {name}" for name in failed] or [program] * failures
        results.skipped += skipped + [(program, "no reason given")] * (counts["skipped"] - len(skipped))
    return results


def unittest_skips(program: str, output: str) -> list[tuple[str, str]]:
    """Names and reasons, as `-v` prints them; a docstring stands on a line of its own between the two."""
    skips, name = [], program
    for line in output.splitlines():
        named, skipped = UNITTEST_NAME.match(line), UNITTEST_SKIP.search(line)
        name = f"{program}: {named.group(1)}" if named else name
        if skipped:
            skips.append((name, skipped.group(2)))
    return skips


def program_results(case: ElementTree.Element) -> Results:
    name, status = case.get("name", "?"), case.get("status")
    output = case.findtext("system-out") or ""
    skipped = case.find("skipped")
    if status == "run":
        inside = gtest_results(name, output) or unittest_results(name, output)
        return inside or Results(passed=1)
    if skipped is not None and (skipped.get("message") or "").startswith("SKIP_"):
        said = output.strip().splitlines()
        return Results(skipped=[(name, said[-1] if said else "no reason given")])
    # Failed, or could not even be started.
    inside = gtest_results(name, output) or unittest_results(name, output) or Results()
    if not inside.failed:
        inside.failed.append(f"{name} (the program itself: {failure_of(case)})")
    return inside


def failure_of(case: ElementTree.Element) -> str:
    for kind in ("failure", "skipped"):
        found = case.find(kind)
        if found is not None and found.get("message"):
            return found.get("message")
    return case.get("status") or "failed"


def read_junit(path: Path) -> Results:
    results = Results()
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        results.add(program_results(case))
    return results
