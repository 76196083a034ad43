"""Builds and tests everything; the last line is "N passed, N failed".

N counts doctest's test cases over all runs; another program counts as one. A program
that crashed, hung or printed no summary is one more that failed, and so is a build
that broke.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import build
import checks
import steps

summary = re.compile(r"\[doctest\] test cases:\s*(\d+) \|\s*(\d+) passed \|\s*(\d+) failed")

sanitizer_options = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:detect_leaks=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}

# The rooms, or programs, where threads meet; what else there is runs under ASan.
threaded_rooms = ["ring", "capi", "stacks", "client", "replay_test"]


class Tally:
    passed = 0
    failed = 0

    def add(self, passed, failed):
        self.passed += passed
        self.failed += failed


def count(result):
    """(passed, failed) of one entry of meson's testlog.json."""
    found = summary.findall(result.get("stdout", "") or "")
    if not found:  # not a program of doctest's, or one that never came to its end
        fine = result["result"] == "OK" and "doctest" not in (result.get("stdout") or "")
        return (1, 0) if fine else (0, 1)
    passed = sum(int(cases[1]) for cases in found)
    failed = sum(int(cases[2]) for cases in found)
    crashed = result["result"] not in ("OK", "FAIL") or (result["returncode"] != 0 and failed == 0)
    if crashed or passed + failed == 0:  # a filter that fits nothing is no success
        failed += 1
    return (passed, failed)


def programs_of(where, rooms):
    """The tests of some rooms or programs as (name, ninja target)."""
    with subprocess.Popen(["meson", "introspect", "--tests", str(where)],
                          stdout=subprocess.PIPE) as meson:
        tests = json.load(meson.stdout)
    found = []
    for test in tests:
        program = Path(test["cmd"][0])
        named = program.parent.name in rooms or program.name in rooms
        if named and program.is_relative_to(where):
            found.append((test["name"], str(program.relative_to(where))))
    return found


def failures(output, most=60):
    """What failed first: the end alone may be all of one long message."""
    lines = output.splitlines()
    if len(lines) <= most:
        return lines
    heads = [line for at, line in enumerate(lines)
             if " ERROR: " in line or (at and " ERROR: " in lines[at - 1])]
    return heads[:most // 2] + ["..."] + lines[-most // 2:]


def run_tests(kind, names, tally):
    """Runs tests (all when none is named) side by side and counts their cases."""
    where = build.folder(kind)
    log = where / "meson-logs/testlog.json"
    log.unlink(missing_ok=True)
    environment = dict(build.environment(kind), **sanitizer_options)
    # Tests of processes mostly wait, so more than there are processors.
    workers = str((os.cpu_count() or 2) + 2)
    try:
        steps.run(["meson", "test", "-C", str(where), "--no-rebuild", "--print-errorlogs",
                   "--num-processes", workers, *names], where / "step-logs/test.log", environment)
    except steps.Failed:
        pass  # counted below
    results = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    if not results:
        tally.add(0, 1)
        raise steps.Failed("no test ran\n" + steps.tail(where / "step-logs/test.log"))
    broken = []
    for result in results:
        passed, failed = count(result)
        tally.add(passed, failed)
        print(f"       {result['name']:<40} {passed:4} passed {failed:3} failed"
              f"  {result['duration']:6.1f} s")
        if failed:
            broken.append(f"--- {result['name']} ({result['result']})\n"
                          + "\n".join(failures(result.get("stdout") or ""))
                          + "\n" + "\n".join((result.get("stderr") or "").splitlines()[-30:]))
    if broken:
        raise steps.Failed("\n".join(broken))


def attempt(title, work, tally=None):
    """One step; False when it failed. With a tally a failure counts as a failed test."""
    try:
        with steps.Step(title):
            work()
        return True
    except steps.Failed as failure:
        print(failure)
        if tally:
            tally.add(0, 1)
        return False


def build_and_test(kind, title, tally, rooms=()):
    def compile_all():
        build.configure(kind, build.folder(kind))
        programs = programs_of(build.folder(kind), rooms)
        names.extend(name for name, _ in programs)
        build.build(kind, sorted({program for _, program in programs}))

    names = []
    if attempt(f"build: {title}", compile_all, tally):
        attempt(f"test: {title}", lambda: run_tests(kind, names, tally))


def main():
    parser = argparse.ArgumentParser(prog="tools/test", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="g++ only, no sanitizers")
    parser.add_argument("--extras", action="store_true",
                        help="also what CI checks: formatting, lint, installation, the demo, a short soak")
    arguments = parser.parse_args()

    began = time.monotonic()
    tally = Tally()
    build_and_test("plain", "g++", tally)
    if not arguments.quick:
        build_and_test("asan", "clang, ASan and UBSan", tally)
        build_and_test("tsan", "clang, TSan", tally, threaded_rooms)
    if arguments.extras:
        for title, check in checks.extras():
            if attempt(title, check, tally):
                tally.add(1, 0)

    print(f"took {(time.monotonic() - began) / 60:.1f} minutes")
    print(f"{tally.passed} passed, {tally.failed} failed")
    sys.exit(0 if tally.failed == 0 and tally.passed > 0 else 1)


if __name__ == "__main__":
    main()
