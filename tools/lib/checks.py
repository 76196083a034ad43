"""What CI checks beside the tests. Each raises steps.Failed with what is wrong."""

import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import build
import steps

root = build.root
cpp_folders = ["libticket", "keyd", "ticketctl", "examples", "tests", "fuzz", "bench"]
lint_seconds = 480  # what is not checked by then is said, not failed


def extras():
    """(title, check) in the order in which they run."""
    return [
        ("check: formatting", formatting),
        ("check: scripts parse", scripts),
        ("check: lint", lint),
        ("check: README's programs build on the installed library", installation),
        ("check: the demo", demo),
        ("check: the client's demo", lambda: demo("--client")),
        ("check: the tokens' demo", lambda: demo("--tokens")),
        ("check: a short soak", soak),
    ]


def sources(*patterns):
    return sorted(path for folder in cpp_folders for pattern in patterns
                  for path in (root / folder).rglob(pattern))


def output_of(argv, **more):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", **more)
    if done.returncode != 0:
        raise steps.Failed(f"{' '.join(map(str, argv[:6]))} ...\n{done.stdout[-6000:]}")
    return done.stdout


def formatting():
    output_of(["clang-format-14", "--dry-run", "-Werror", *sources("*.cpp", "*.hpp")])


def scripts():
    for script in [*(root / "tools").iterdir(), root / ".ci/run"]:
        if script.is_file() and not script.suffix:
            output_of(["sh", "-n", str(script)])
    for module in sorted(root.rglob("tools/lib/*.py")) + sorted((root / "tests").rglob("*.py")):
        try:
            compile(module.read_text(), str(module), "exec")
        except SyntaxError as error:
            raise steps.Failed(f"{module}: {error}") from error


class LintCache:
    """Remembers, like ccache does for objects, which preprocessed units were clean."""

    def __init__(self, database):
        self.commands = {str((Path(entry["directory"]) / entry["file"]).resolve()): entry
                         for entry in json.loads(database.read_text())}
        self.basis = ((root / ".clang-tidy").read_bytes()
                      + output_of(["clang-tidy-14", "--version"]).encode())
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self.folder = cache / "libticket-lint"
        self.folder.mkdir(parents=True, exist_ok=True)
        month_ago = time.time() - 30 * 86400
        for stamp in self.folder.iterdir():
            if stamp.stat().st_mtime < month_ago:
                stamp.unlink(missing_ok=True)

    def stamp(self, unit):
        """The file that exists when the unit, as it is now, was found clean."""
        entry = self.commands[str(unit)]
        command = [word for word in shlex.split(entry["command"]) if word != "ccache"]
        for option, values in (("-o", 1), ("-MF", 1), ("-MQ", 1), ("-MD", 0), ("-c", 0)):
            if option in command:
                at = command.index(option)
                del command[at:at + 1 + values]
        # With comments, since NOLINT is one.
        done = subprocess.run([*command, "-E", "-C"], cwd=entry["directory"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, check=False)
        return self.folder / hashlib.sha256(self.basis + done.stdout).hexdigest()


def lint():
    """clang-tidy on libticket's and ticketctl's units; keyd's are too heavy (Boost)."""
    database = build.folder("asan") / "compile_commands.json"
    if not database.exists():
        raise steps.Failed("lint needs the clang build: run tools/test without --quick")
    began = time.monotonic()
    cache = LintCache(database)
    units = [path for path in sources("*.cpp")
             if path.is_relative_to(root / "libticket") or path.is_relative_to(root / "ticketctl")]

    def one(unit):
        if time.monotonic() > began + lint_seconds:
            return "late"
        stamp = cache.stamp(unit)
        if stamp.exists():
            stamp.touch()
            return None
        try:
            output_of(["clang-tidy-14", "-p", str(database.parent), "--quiet", str(unit)],
                      timeout=max(1, began + lint_seconds - time.monotonic()))
        except subprocess.TimeoutExpired:
            return "late"
        except steps.Failed as failure:
            return str(failure)
        stamp.touch()
        return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(one, units))
    late = found.count("late")
    if late:
        print(f"       {late} of {len(units)} units not checked within {lint_seconds} s")
    complaints = [text for text in found if text not in (None, "late")]
    if complaints:
        raise steps.Failed("\n".join(complaints))


def installation():
    """meson install, then the programs that README shows, built with pkg-config."""
    readme = (root / "README.md").read_text()
    server = re.search(r"```cpp\n(.*?)```", readme, re.DOTALL)
    client = re.search(r"```c\n(#include <curl/curl.h>.*?)```", readme, re.DOTALL)
    if not server or not client:
        raise steps.Failed("README.md shows no C++ server, or no libcurl program")
    # what README leaves out
    whole = client[1].replace("...\n", "int main(void) {\nCURL *curl = curl_easy_init();\n", 1)
    with tempfile.TemporaryDirectory() as temporary:
        there = Path(temporary)
        output_of(["meson", "install", "-C", str(build.folder()), "--no-rebuild", "--quiet",
                   "--destdir", str(there)])
        program(there, "server.cpp", server[1], ["g++", "-std=c++20"],
                ["libticket-openssl", "libticket", "openssl"])
        program(there, "client.c", whole + "return 0;\n}\n", ["gcc", "-std=c11"],
                ["libticket-client", "libcurl"])


def program(there, file, text, compiler, packages):
    (there / file).write_text(text)
    modules = next(there.rglob("pkgconfig"))
    environment = dict(os.environ, PKG_CONFIG_PATH=str(modules), PKG_CONFIG_SYSROOT_DIR=str(there))
    flags = shlex.split(output_of(["pkg-config", "--cflags", "--libs", *packages],
                                  env=environment))
    made = there / Path(file).stem
    output_of([*compiler, "-Wall", "-Wextra", "-Werror", str(there / file), "-o", str(made),
               *flags, f"-Wl,-rpath-link,{modules.parent}"])
    output_of([str(made)], cwd=there, env=dict(os.environ, LD_LIBRARY_PATH=str(modules.parent)))


def soak():
    log = build.folder() / "step-logs/soak.log"
    steps.run([sys.executable, str(root / "tools/lib/soak.py"), "--minutes", "0.7"], log,
              timeout=300)
    print("      ", steps.tail(log, 1).strip())


def demo(*options):
    log = build.folder() / f"step-logs/demo{''.join(options)}.log"
    steps.run([sys.executable, str(root / "tools/lib/demo.py"), *options], log, timeout=300)
    print("      ", steps.tail(log, 1).strip())
