"""Mutation testing: do the unit tests notice small changes of the code? `make test-mutants`.

mutmut makes the changes, called mutants (another comparison, operator, constant or argument), in
the modules that pyproject.toml lists below [tool.mutmut]: what counts, seeds, splits, reuses,
measures and reconciles. For each mutant it runs the unit tests that reach the changed function. Of
each module a sample is tried, the same whenever its code is the same.
"""

import argparse
import json
import os
import random
import subprocess
import sys
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).parent.parent
COPY = ROOT / "mutants"  # mutmut's copy of the code, with all mutants in it
NOTICED = (1, 3)  # exit codes of mutmut: a test failed, or pytest did
TOO_SLOW = (24, -24, 36, 152, 255)  # stopped for its time, as a loop without end
# mutmut forks: no threads may wait in OpenMP, and no worker may start from mutmut's own process
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "VARIEGATE_WORKERS": "1"}


def mutmut(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("mutmut")
    command = [program, *arguments]
    return subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)


def exit_codes() -> dict[str, dict[str, int | None]]:
    """Of each module the mutants that were made, and how their tests ended; None: not tried."""
    files = {str(path.relative_to(COPY)): path for path in sorted(COPY.rglob("*.py.meta"))}
    return {
        name.removesuffix(".meta"): json.loads(path.read_text())["exit_code_by_key"]
        for name, path in files.items()
    }


def sample(mutants: list[str], size: int, seed: str) -> list[str]:
    """`size` of them by chance; those of a smaller sample are among them."""
    order = sorted(mutants)
    random.Random(seed).shuffle(order)
    return order[:size]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--only", nargs="*", default=[""], help="modules by parts of their paths")
    parser.add_argument("--per-module", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    made = mutmut("run", "--max-children", "1", "none of this name")  # makes them and tries none
    chosen = {
        name: sample(list(codes), options.per_module, f"{options.seed} {name}")
        for name, codes in exit_codes().items()
        if codes and any(part in name for part in options.only)
    }
    if not chosen:
        sys.exit(made.stdout[-2000:] + made.stderr)
    tried = mutmut("run", "--max-children", "1", *chain.from_iterable(chosen.values()))
    if tried.returncode:
        sys.exit(tried.stdout[-2000:] + tried.stderr)

    codes, slow, survivors = exit_codes(), [], []
    for name, mutants in chosen.items():
        missed = [each for each in mutants if codes[name][each] not in NOTICED + TOO_SLOW]
        print(f"{name:44} {len(mutants) - len(missed):3} of {len(mutants):3} noticed")
        survivors += missed
        slow += [each for each in mutants if codes[name][each] in TOO_SLOW]
    for each in survivors + slow:
        print(mutmut("show", each).stdout)
    total = sum(map(len, chosen.values()))
    print(f"{total - len(survivors)} of {total} mutants noticed, {len(slow)} for their time alone")


if __name__ == "__main__":
    main()
