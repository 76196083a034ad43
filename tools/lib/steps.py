"""Progress for people and logs: a line per step, with the time it took."""

import re
import subprocess
import sys
import time

sys.stdout.reconfigure(encoding="utf-8", errors="replace", line_buffering=True)
terminal = sys.stdout.isatty()


class Failed(Exception):
    """A step that did not work out; the text says why."""


class Step:
    """with Step("build"): ... prints how long it took, and whether it worked."""

    def __init__(self, title):
        self.title = title

    def __enter__(self):
        self.began = time.monotonic()
        print(f"  …  {self.title}")
        return self

    def __exit__(self, kind, error, trace):
        took = time.monotonic() - self.began
        mark = "FAIL" if kind else " ok "
        print(f"{mark} {self.title} ({took:.0f} s)")


def run(argv, log, env=None, cwd=None, timeout=None):
    """Runs a command, its output into the file `log`; Failed shows the end of it."""
    with open(log, "wb") as out:
        try:
            code = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out,
                                  stderr=subprocess.STDOUT, env=env, cwd=cwd,
                                  timeout=timeout).returncode
        except subprocess.TimeoutExpired:
            code = f"more than {timeout} s"
    if code != 0:
        raise Failed(f"{' '.join(map(str, argv))}: {code}\n{tail(log)}")


def tail(log, lines=40):
    with open(log, errors="replace") as text:
        return "".join(text.readlines()[-lines:])


def ninja(argv, log, env=None):
    """Runs ninja and shows how far it is: in place on a terminal, else every 15 s."""
    shown = time.monotonic()
    failure = []
    with open(log, "w") as out:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, env=env, text=True, errors="replace")
        for line in process.stdout:
            out.write(line)
            progress = re.match(r"\[(\d+/\d+)\]", line)
            if not progress:
                failure.append(line)
            elif terminal:
                print(f"     {progress[1]}", end="\r")
            elif time.monotonic() - shown > 15:
                shown = time.monotonic()
                print(f"     {progress[1]}")
    if process.wait() != 0:
        raise Failed("".join(failure[-60:]))
