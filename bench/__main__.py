"""`make bench` runs every case, `make bench ONLY=name` one. Each writes bench/results/<name>.json."""

import importlib
import pkgutil
import sys

from bench import cases
from bench.result import Result, table


def main(wanted: list[str]) -> int:
    modules = {
        info.name.replace("_", "-"): importlib.import_module(f"bench.cases.{info.name}")
        for info in pkgutil.iter_modules(cases.__path__)
    }
    unknown = set(wanted) - set(modules)
    if unknown:
        print(f"There is no such case: {', '.join(unknown)}. Cases: {', '.join(modules)}")
        return 2
    results: list[Result] = []
    for name, module in modules.items():
        if wanted and name not in wanted:
            continue
        print(f"{name}: {(module.__doc__ or '').splitlines()[0]}", flush=True)
        for result in module.run():
            result.settle().write()
            results.append(result)
            print(f"  {result.name}: {result.ours:.4g} {result.unit} {result.notes}", flush=True)
    print("\n" + table(results))
    return 1 if any(result.met is False for result in results) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
