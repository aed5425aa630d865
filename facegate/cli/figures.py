"""How an embedder's figures are said to people."""

from __future__ import annotations

from typing import Any


def figure_lines(f: dict[str, Any]) -> list[str]:
    """Say an embedder's figures to people: each rate with its interval and what is behind it."""
    alone = len(f.get("folds", {}).get("accuracy", [])) == 1
    spread = "of one fold" if alone else f"± {f['accuracy_std']:.4f} between folds"
    lines = [
        f"accuracy     {f['accuracy']:.4f} {spread}, {_interval(f['intervals']['accuracy'])}"
        + ("  (its threshold was chosen on the same pairs: flattered)" if alone else ""),
        f"EER          {f['eer']:.4f} {_interval(f['intervals']['eer'])}",
        *_tar_lines("the pairs", f),
        f"refused      {f['refused']} pictures without a usable face"
        + (f", {f['unreadable']} of them unreadable" if f.get("unreadable") else ""),
    ]
    if "all_pairs" in f:
        lines += _tar_lines("everybody with everybody", f["all_pairs"])
    if "looks" in f:
        lines += _look_lines(f["looks"])
    if "groups" in f:
        lines += _group_lines(f["groups"])
    if "robustness" in f:
        lines += _robustness_lines(f["robustness"])
    return [*lines, f"[intervals]  {f['intervals']['method']}"]


def _interval(ends: list[float]) -> str:
    return f"[{ends[0]:.4f}, {ends[1]:.4f}]"


def _tar_lines(what: str, f: dict[str, Any]) -> list[str]:
    behind = f["comparisons"]
    lines = [f"TAR @ FAR    {what}: {behind['genuine']:,} genuine, {behind['impostor']:,} impostor"]
    for name, tar in f["tar_at_far"].items():
        few = "" if f["resolved"][name] else "  (too few impostor pairs to resolve this rate)"
        lines.append(
            f"  {name}       {tar:.4f} {_interval(f['intervals']['tar_at_far'][name])}{few}"
        )
    return lines


def _look_lines(f: dict[str, Any]) -> list[str]:
    lines = [f"looks        {f['people']} people by their other pictures: let in (false matches)"]
    for name, counts in f["rates"].items():
        for count, ways in counts.items():
            said = ", ".join(
                f"{way} {one['tar']:.4f} ({one['fmr']:.2g})" for way, one in ways.items()
            )
            lines.append(f"  FMR {name} a person, {count} enrolled: {said}")
    return lines


def _robustness_lines(r: dict[str, Any]) -> list[str]:
    lines = [
        f"robustness   {r['pairs']:,} pairs, the visitor's side degraded, by the thresholds of "
        f"clean ones; TAR at that of FAR {r['threshold_far']:g}"
    ]
    for name, c in r["conditions"].items():
        lost = f"  {c['lost']} faces not found again" if c["lost"] else ""
        far = "" if c["within"] else "  more than 5 points"
        lines.append(
            f"  {name:<18}accuracy {c['accuracy']:.4f} ({100 * c['change']:+.1f} points)  "
            f"TAR {c['tar']:.4f}  FMR {c['fmr']:.4f}{lost}{far}"
        )
    return lines


def _group_lines(g: dict[str, Any]) -> list[str]:
    lines = [f"groups       false matches at the threshold of FAR {g['far']:g} within groups"]
    for name, r in (*sorted(g["within"].items()), ("two groups", g["between"])):
        if r["impostors"]:
            lines.append(
                f"  {name:<11} {r['false_match_rate']:.5f} {_interval(r['interval'])}  "
                f"{r['false_matches']:,} of {r['impostors']:,}"
            )
    return lines
