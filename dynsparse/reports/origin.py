"""Where the numbers of a report come from, in words."""

from collections.abc import Mapping, Sequence
from typing import Any

Origin = Mapping[str, Any]


def common_origin(results: Sequence[Origin]) -> dict[str, Any]:
    """Returns where several runs come from, as one: what they share, or all there is.

    Args:
        results: Contents of result.json, at least one.
    """
    shared: dict[str, Any] = {
        name: _join(result[name] for result in results)
        for name in ("commit", "device", "processor", "cores", "python")
    }
    packages = dict.fromkeys(name for one in results for name in one["packages"])
    shared["packages"] = {
        name: _join(one["packages"].get(name, "none") for one in results)
        for name in packages
    }
    return shared


def origin_in_words(where: Origin, seeds: Sequence[int]) -> str:
    """Returns one sentence: commit, device, cores, versions and seeds.

    Args:
        where: `commit` (with `+` and a hash where the checkout was changed), `device`,
            `processor`, `cores`, `python` and `packages` with their versions.
        seeds: Of the runs; none if the numbers have no seed.
    """
    versions = [f"Python {where['python']}"]
    versions += [f"{name} {version}" for name, version in where["packages"].items()]
    parts = [
        f"Measured at commit {_commits(where['commit'])} on {where['device']} "
        f"({where['cores']} cores, {where['processor']}) with {', '.join(versions)}"
    ]
    if seeds:
        named = ", ".join(str(seed) for seed in seeds)
        parts.append(f"seed{'s' * (len(seeds) > 1)} {named}")
    return "; ".join(parts) + "."


def _join(values) -> Any:
    found = list(dict.fromkeys(values))
    return found[0] if len(found) == 1 else " and ".join(str(value) for value in found)


def _commits(commits: str) -> str:
    def in_words(commit: str) -> str:
        known, changed, which = commit.partition("+")
        words = " ".join(["with local changes", which]).strip()
        return f"{known} ({words})" if changed else known

    return " and ".join(in_words(commit) for commit in commits.split(" and "))
