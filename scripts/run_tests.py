# SPDX-License-Identifier: Apache-2.0
"""Sets up, builds and tests everything, stage by stage."""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from building import build
from ctest_results import Results, read_junit
from fetch_parts.places import ROOT
from fetch_parts.report import SetupError

CORES = os.cpu_count() or 1
SOURCE_FOLDERS = ("backends", "bench", "examples", "include", "src", "tests", "tools")
SOURCE_SUFFIXES = (".c", ".cpp", ".h", ".hpp")
LABELS_OF_THEIR_OWN = "^(integration|scripts|demo|vm|fuzz|bench|install|docs|conformance)$"


@dataclass
class Stage:
    name: str
    what: str
    run: Callable[[argparse.Namespace], Results]
    quick: bool = False  # also part of --quick


@dataclass
class Outcome:
    stage: Stage
    seconds: float
    results: Results = field(default_factory=Results)


def set_up(options) -> Results:
    if subprocess.run([ROOT / "scripts/setup", "--for", "test"]).returncode != 0:
        raise SetupError("the set-up failed, see above")
    if subprocess.run([ROOT / "scripts/make-catalogue"]).returncode != 0:
        raise SetupError("the catalogue could not be made, see above")
    return Results()


def check_format(options) -> Results:
    sources = sorted(path for folder in SOURCE_FOLDERS for path in (ROOT / folder).rglob("*")
                     if path.suffix in SOURCE_SUFFIXES)
    formatter = shutil.which("clang-format-14") or "clang-format"
    checked = subprocess.run([formatter, "--dry-run", "--ferror-limit=3", *sources], cwd=ROOT, capture_output=True,
                             text=True)
    badly_formatted = sorted(set(re.findall(r"^(.*?):\d+:\d+: warning", checked.stderr, re.MULTILINE)))
    if badly_formatted:
        print(f"format: run {formatter} -i on these files:")
        print("\n".join("  " + str(Path(path).relative_to(ROOT)) for path in badly_formatted))
        return Results(failed=["format of " + str(Path(path).relative_to(ROOT)) for path in badly_formatted])
    if checked.returncode != 0:
        raise SetupError(f"{formatter} failed: {checked.stderr.strip()}")
    print(f"format: {len(sources)} files are as .clang-format wants them")
    return Results(passed=1)


def ctest(preset: str, *selection: str, jobs: int = 1, target: str = "all") -> Callable[[argparse.Namespace], Results]:
    """A stage that builds a preset's target and runs the tests that are selected by their labels."""
    def run(options) -> Results:
        folder = build(preset, target)
        with tempfile.TemporaryDirectory(prefix="vaccel-ctest-") as scratch:
            junit = Path(scratch) / "results.xml"
            command = ["ctest", "--test-dir", str(folder), "--no-tests=ignore", "--output-on-failure",
                       "--output-junit", str(junit), "--test-output-size-passed", "4000000",
                       "--test-output-size-failed", "4000000", "--parallel", str(jobs), "--timeout", "900",
                       *selection]
            if options.filter:
                command += ["-R", options.filter]
            show_tests(command)
            if not junit.is_file():
                raise SetupError(f"{' '.join(command)} wrote no results")
            return read_junit(junit)
    return run


def show_tests(command: list[str]):
    """Runs ctest and shows each test as it ends, without the lines that only announce one."""
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace") as running:
        for line in running.stdout:
            if not re.match(r"^ +Start +\d+: |^Internal ctest|^Test project|^No tests were found|^$", line):
                print("  " + line, end="", flush=True)


STAGES = [
    Stage("setup", "install and fetch what is missing", set_up, quick=True),
    Stage("format", "clang-format", check_format, quick=True),
    Stage("unit", "unit tests, release", ctest("release", "-LE", LABELS_OF_THEIR_OWN, jobs=CORES), quick=True),
    Stage("integration", "whole processes, release", ctest("release", "-L", "^integration$", jobs=CORES),
          quick=True),
    Stage("conformance", "ONNX's own test data through an agent", ctest("release", "-L", "^conformance$")),
    Stage("scripts", "set-up, catalogue and the two commands", ctest("release", "-L", "^scripts$"), quick=True),
    Stage("install", "programs against the installed tree", ctest("release", "-L", "^install$")),
    Stage("docs", "the commands in the documentation", ctest("release", "-L", "^docs$")),
    Stage("vm", "guests on both kernels", ctest("release", "-L", "^vm$")),
    Stage("demo", "./demo in all its places", ctest("release", "-L", "^demo$")),
    Stage("bench", "each benchmark for a moment", ctest("release", "-L", "^bench$")),
    Stage("asan-unit", "unit tests under ASan and UBSan", ctest("asan", "-LE", LABELS_OF_THEIR_OWN, jobs=CORES)),
    Stage("asan-integration", "whole processes under ASan and UBSan", ctest("asan", "-L", "^integration$", jobs=CORES)),
    Stage("fuzz", "each fuzz target for a bounded time", ctest("asan", "-L", "^fuzz$", jobs=CORES)),
    Stage("tsan", "threaded tests under TSan", ctest("tsan", "-L", "^tsan$", target="tsan_tests")),
]


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./test", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="stages:\n" + "\n".join(f"  {stage.name:<17} {stage.what}{' (quick)' if stage.quick else ''}"
                                       for stage in STAGES))
    parser.add_argument("--quick", action="store_true", help="only the stages that are marked quick")
    parser.add_argument("--only", metavar="STAGE", action="append", choices=[stage.name for stage in STAGES],
                        help="only this stage; may be given several times")
    parser.add_argument("--filter", metavar="REGEX", help="only tests whose name matches (ctest -R)")
    parser.add_argument("--keep-going", action="store_true", help="go on with the next stage after one that failed")
    return parser.parse_args(arguments)


def chosen(options) -> list[Stage]:
    return [stage for stage in STAGES
            if (stage.name in options.only if options.only else stage.quick or not options.quick)]


def run_stage(stage: Stage, options) -> Outcome:
    print(f"== {stage.name}: {stage.what}", flush=True)
    started = time.monotonic()
    try:
        results = stage.run(options)
    except SetupError as error:
        print(f"  {stage.name}: error: {error}", flush=True)
        results = Results(failed=[f"stage {stage.name}"])
    outcome = Outcome(stage, time.monotonic() - started, results)
    print(f"== {stage.name}: {'FAILED' if results.failed else 'done'}, {outcome.seconds:.0f} s", flush=True)
    return outcome


def summarise(outcomes: list[Outcome], not_run: list[Stage]) -> Results:
    """Prints the table, what was skipped and why, what failed, and the closing line."""
    total = Results()
    print(f"\n{'stage':<18}{'seconds':>8}{'passed':>8}{'failed':>8}{'skipped':>8}")
    for outcome in outcomes:
        found = outcome.results
        print(f"{outcome.stage.name:<18}{outcome.seconds:>8.1f}{found.passed:>8}{len(found.failed):>8}"
              f"{len(found.skipped):>8}")
        total.add(found)
    for stage in not_run:
        print(f"{stage.name:<18}{'not run':>8}")
    for name, reason in total.skipped:
        print(f"skipped: {name}: {reason}")
    for name in total.failed:
        print(f"failed: {name}")
    print(f"{total.passed} passed, {len(total.failed)} failed, {len(total.skipped)} skipped", flush=True)
    return total


def main() -> int:
    options = parse(sys.argv[1:])
    # No test may find an agent, or a host's vsock, that it did not start.
    os.environ["VACCEL_ENDPOINT"] = "unix:/nonexistent/a-test-names-its-endpoint"
    stages, outcomes = chosen(options), []
    try:
        for stage in stages:
            outcomes.append(run_stage(stage, options))
            if outcomes[-1].results.failed and not options.keep_going:
                break
    except KeyboardInterrupt:
        print("\ninterrupted", flush=True)
        summarise(outcomes, stages[len(outcomes):])
        return 130
    total = summarise(outcomes, stages[len(outcomes):])
    if total.total() == 0 and not options.only:
        print("no test was run", file=sys.stderr)
        return 1
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
