"""A sweep as finished runs leave it, with made-up numbers and no training."""

import csv
import json
import random
import zlib

from dynsparse import reports

DENSE = 4_000_000
POINTS = (1.0, 0.75, 0.5, 0.25)
ACCURACY = dict(dense=0.94, soft_topk=0.94, gumbel_sigmoid=0.93, random_topk=0.92)
LOSS = dict(dense=0.0, soft_topk=0.02, gumbel_sigmoid=0.05, random_topk=0.4)
PLACE = dict(
    commit="0123456789ab",
    device="cpu",
    processor="x86_64",
    cores=2,
    python="3.11.7",
    packages=dict(jax="0.10.2", numpy="2.4.6"),
)


def write_sweep(folder, *, methods=tuple(ACCURACY), seeds=(0, 1, 2)):
    """Run folders METHOD/SETTING/SEED of `methods`."""
    for method in methods:
        for seed in seeds:
            write_run(folder / method / "any" / str(seed), method, seed)


def write_summary(folder):
    """A whole sweep with its report and its summary; returns the rows."""
    write_sweep(folder)
    rows = read_sweep(folder)
    report = reports.compare_methods(rows)
    reports.write_report(folder, report, name="n", claim="c", command="d", where=PLACE)
    reports.write_board(folder, rows)
    return rows


def read_sweep(folder):
    """A row per finished run and point of its curve."""
    rows = []
    for path in sorted(folder.glob("[!_]*/*/*/result.json")):
        method, setting, seed = path.parent.relative_to(folder).parts
        names = dict(method=method, setting=setting, seed=int(seed))
        names |= dict(trial=f"{method}/{setting}/{seed}")
        rows += [names | row for row in reports.read_curve(path.parent)]
    return rows


def write_run(run, method, seed, **changes):
    """One finished run; `changes` are made to its config."""
    run.mkdir(parents=True)
    rows = points(method, seed)
    with (run / "curve.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0].keys())
        table.writeheader()
        table.writerows(rows)
    lines = [
        {"step": s, "split": "validation", "accuracy": rows[0]["accuracy"]}
        for s in (1, 2)
    ]
    lines += [dict(step=2, split="curve") | row for row in rows]
    (run / "metrics.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    config = dict(seed=seed, gate=dict(name=method), train=dict(num_steps=2)) | changes
    (run / "config.json").write_text(json.dumps(config))
    curve = [row | dict(layers={}, recovery={}) for row in rows]
    result = PLACE | dict(title=method, seed=seed, steps=2, curve=curve)
    result |= dict(batch_size=16, macs_dense=DENSE, macs_floor=0, warnings=[])
    result |= dict(metric=reports.Metric()._asdict())
    (run / "result.json").write_text(json.dumps(result))


def points(method, seed):
    """Rows of curve.csv; the noise is of the method and the seed."""
    noise = random.Random(zlib.crc32(f"{method}{seed}".encode()))
    densities = POINTS[:1] if method == "dense" else POINTS
    return [_row(method, density, noise) for density in densities]


def _row(method, density, noise):
    used = DENSE * (0.15 + 0.85 * density)
    lost = LOSS[method] * (1 - density) ** 2
    score = ACCURACY[method] - lost + noise.gauss(0, 0.004)
    return dict(
        density=density,
        budget=used / DENSE,
        flops_mean=2 * used,
        macs_mean=used,
        macs_p95=used,
        macs_dense=float(DENSE),
        score=score,
        accuracy=score,
        latency_ms=2 + 8 * density + noise.gauss(0, 0.2),
        latency_dense_ms=10.0,
    )
