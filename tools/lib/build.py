"""Configures and builds: plain with g++, or with clang and a sanitizer."""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

import steps

root = Path(__file__).resolve().parents[2]

# clang 14 cannot compile coroutines under this one check
# ("Cannot represent a difference across sections").
no_function = "-Dcpp_args=-fno-sanitize=function"
# name -> compilers, meson options. The ASan build is also the one that shows
# that everything compiles with clang.
kinds = {
    "plain": ("gcc", "g++", []),
    "asan": ("clang-14", "clang++-14",
             ["-Db_sanitize=address,undefined", "-Doptimization=1", "-Dbench=true", no_function]),
    # With the library's own checks: an empty optional that is read is no sanitizer's matter.
    "tsan": ("clang-14", "clang++-14", ["-Db_sanitize=thread", "-Doptimization=1",
                                        "-Dcpp_args=-D_GLIBCXX_ASSERTIONS"]),
}


def folder(kind="plain"):
    """build/ (or $TICKET_BUILD), build-asan/, build-tsan/."""
    plain = Path(os.environ.get("TICKET_BUILD", root / "build")).resolve()
    return plain if kind == "plain" else plain.with_name(f"{plain.name}-{kind}")


def environment(kind):
    c, cpp, _ = kinds[kind]
    environment = dict(os.environ, CCACHE_NOHASHDIR="1", CCACHE_BASEDIR=str(root))
    ccache = "ccache " if shutil.which("ccache") else ""
    return dict(environment, CC=ccache + c, CXX=ccache + cpp)


def build(kind="plain", targets=()):
    """Configures what is not yet configured, then builds `targets` (all when empty)."""
    where = folder(kind)
    where.mkdir(parents=True, exist_ok=True)
    (where / "step-logs").mkdir(exist_ok=True)
    configure(kind, where)
    steps.ninja(["ninja", "-C", str(where), *targets], where / "step-logs/ninja.log",
                environment(kind))
    return where


def configure(kind, where):
    """meson setup, when there is none yet or its options changed."""
    options = kinds[kind][2]
    stamp = where / "step-logs/options"
    wanted = " ".join(options)
    if (where / "build.ninja").exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    again = ["--wipe"] if (where / "meson-private").exists() else []
    with tempfile.NamedTemporaryFile() as log:  # --wipe empties the folder
        steps.run(["meson", "setup", *again, *options, str(where), str(root)], log.name,
                  environment(kind))
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(wanted)


def main():
    parser = argparse.ArgumentParser(prog="tools/build", description=__doc__)
    parser.add_argument("--kind", choices=kinds, default="plain")
    parser.add_argument("target", nargs="*", help="ninja targets; all when none is named")
    arguments = parser.parse_args()
    try:
        with steps.Step(f"build {arguments.kind} into {folder(arguments.kind).name}/"):
            build(arguments.kind, arguments.target)
    except steps.Failed as failure:
        sys.exit(str(failure))


if __name__ == "__main__":
    main()
