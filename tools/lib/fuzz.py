"""Runs the fuzz targets, each for a number of seconds or of executions, whichever
comes first, on its corpus in fuzz/corpus/ and with the words of fuzz/NAME.dict, if any.

New inputs go to build-fuzz/corpus/; a finding is left in build-fuzz/findings/ as a
file. As long as one is there, of this run or of one before, it is named at the end and
the exit status is 1: mend it, then remove it."""

import argparse
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed

import build
import steps

build.kinds["fuzz"] = ("clang-14", "clang++-14",
                       ["-Db_sanitize=address,undefined", "-Doptimization=1", "-Dfuzz=true",
                        "-Dtests=false", build.no_function])

# Bytes; inputs as long as this are worth their time.
longest = {"frames": 2048}


def run(where, name, seconds, runs):
    """Runs one target; (name, executions, what it says when it failed)."""
    corpus = where / "corpus" / name
    findings = where / "findings" / name
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    seeds = build.root / "fuzz/corpus" / name
    seeds.mkdir(parents=True, exist_ok=True)
    words = build.root / "fuzz" / f"{name}.dict"
    dictionary = [f"-dict={words}"] if words.exists() else []
    done = subprocess.run([where / "fuzz" / f"{name}_fuzz", f"-max_total_time={seconds}",
                           f"-runs={runs}", f"-max_len={longest.get(name, 8192)}", *dictionary,
                           "-print_final_stats=1", f"-artifact_prefix={findings}/",
                           corpus, seeds],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")
    executed = re.search(r"number_of_executed_units:\s*(\d+)", done.stdout)
    said = "" if done.returncode == 0 else done.stdout[-4000:]
    return name, int(executed[1]) if executed else 0, said


def fuzz(seconds, wanted=(), runs=-1):
    """Builds and runs; raises steps.Failed with the findings."""
    names = sorted(p.name.removesuffix("_fuzz.cpp") for p in (build.root / "fuzz").glob("*_fuzz.cpp"))
    names = [name for name in names if not wanted or name in wanted]
    where = build.build("fuzz", [f"fuzz/{name}_fuzz" for name in names])
    findings = []
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(run, where, name, seconds, runs) for name in names]
        for done in as_completed(running):
            name, executed, said = done.result()
            print(f"       {name:<24} {executed:12,} executions  {'FINDING' if said else 'clean'}",
                  flush=True)
            if said:
                findings.append(f"{name}:\n{said}")
    left = sorted(path for name in names for path in (where / "findings" / name).iterdir())
    if left:
        findings.append("findings to mend, then to remove:\n"
                        + "\n".join(f"  {path}" for path in left))
    if findings:
        raise steps.Failed("\n".join(findings))


def main():
    parser = argparse.ArgumentParser(prog="tools/fuzz", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="Example: tools/fuzz 60 parse_manifest")
    parser.add_argument("seconds", type=int, help="for each target")
    parser.add_argument("--runs", type=int, default=-1, help="at most so many executions of each")
    parser.add_argument("target", nargs="*", help="names; all when none is given")
    arguments = parser.parse_intermixed_args()
    try:
        with steps.Step(f"fuzz: {arguments.seconds} s a target"):
            fuzz(arguments.seconds, arguments.target, arguments.runs)
    except steps.Failed as failure:
        sys.exit(str(failure))


if __name__ == "__main__":
    main()
