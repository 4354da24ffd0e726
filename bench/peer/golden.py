"""Holds the metrics plugin against the Python handler, the reference for its results.

    golden.py                                       make the golden files anew
    golden.py --generate N --seed S --out FILE      make N inputs, one a line
    golden.py --check COMMAND [--generate N]        compare a program's results with the handler's

The golden files are what handler_module.py gives for each file of inputs in plugins/metrics/data (and in its folder
golden, `*.inputs.jsonl`): a line of results per line of input, `env` kept within a file. They are part of
the repository, so that its tests need no Python.

COMMAND reads inputs from stdin, one a line, and writes results to stdout, for example
`plugin-host invoke target/release/libmetrics.so --input -`. The comparison is of JSON values: 1 and 1.0 are the same
number; names come in the same order. Exit code 1 if any differs.
"""
import argparse
import json
import math
import pathlib
import shlex
import subprocess
import sys
import types

from handler_module import handler
from inputs import inputs

DATA = pathlib.Path(__file__).resolve().parents[2] / "plugins" / "metrics" / "data"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generate", metavar="N", type=int, default=10_000, help="how many inputs (10000)")
    parser.add_argument("--seed", metavar="S", type=int, default=1, help="of the generator (1)")
    parser.add_argument("--out", metavar="FILE", type=pathlib.Path, help="where generated inputs are written")
    parser.add_argument("--check", metavar="COMMAND", help="the program to compare")
    arguments = parser.parse_args()
    if arguments.check:
        sys.exit(check(shlex.split(arguments.check), list(inputs(arguments.generate, arguments.seed))))
    elif arguments.out:
        write_lines(arguments.out, inputs(arguments.generate, arguments.seed))
    else:
        write_golden_files()


def write_golden_files():
    golden = DATA / "golden"
    golden.mkdir(exist_ok=True)
    for source in [*DATA.glob("*.json"), *DATA.glob("*.jsonl"), *golden.glob("*.inputs.jsonl")]:
        target = golden / f"{source.name.split('.')[0]}.jsonl"
        lines = source.read_text(encoding="utf-8").split("\n")
        write_lines(target, (dump(result) for result in results(line for line in lines if line)))
        print(f"{target.relative_to(DATA)}: from {source.relative_to(DATA)}")


def results(lines):
    """The handler's result for each line, with one context for all."""
    context = types.SimpleNamespace(env={})
    for line in lines:
        yield handler(json.loads(line), context)


def check(command, lines):
    """Compares a program's results with the handler's; gives the exit code."""
    text = "".join(f"{line}\n" for line in lines)
    run = subprocess.run(command, input=text.encode(), stdout=subprocess.PIPE, check=False)
    theirs = run.stdout.decode().split("\n")[:-1]
    if run.returncode != 0 or len(theirs) != len(lines):
        print(f"{len(theirs)} results for {len(lines)} inputs, exit code {run.returncode}")
        return 1
    different = 0
    for number, (line, expected, found) in enumerate(zip(lines, results(lines), theirs), start=1):
        if not same(expected, json.loads(found)):
            different += 1
            print(f"line {number}: {line}\n  expected {dump(expected)}\n  found    {found}")
    print(f"{len(lines)} inputs, {different} results differ")
    return 1 if different else 0


def same(one, other):
    """Whether two JSON values are the same; Python alone would take true for 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def dump(result):
    if not all(math.isfinite(value) for value in result.values() if isinstance(value, float)):
        raise ValueError(f"JSON can't hold this result: {result}")
    return json.dumps(result)


def write_lines(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
