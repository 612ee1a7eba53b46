"""The figures of one run: its curve, and what its gates kept."""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from dynsparse.reports import figures, runs
from dynsparse.reports.metric import Metric

MOST_EXAMPLES = 32  # columns of kept.png
_DIMMED = 0.25
_KEPT = np.array([0.90, 0.62, 0.0])  # tints the kept patches


def draw_curve(
    run: pathlib.Path,
    title: str,
    metric: Metric,
    *,
    dense_score: float | None = None,
) -> pathlib.Path:
    """Draws `run`/curve.png: score and time against cost; SVG and PDF beside it.

    Args:
        run: Folder that holds curve.csv.
        title: Title of the figure.
        metric: The score of the curve.
        dense_score: That of the model with everything open, where it is no point of the
            curve.

    Returns:
        The PNG.

    Example:
        >>> import pathlib
        >>> row = dict.fromkeys(reports.FIELDS, 0.5)
        >>> reports.tables.write_csv(pathlib.Path("curve.csv"), [row])
        >>> reports.draw_curve(pathlib.Path(), "a run", reports.Metric()).name
        'curve.png'
    """
    rows = runs.read_curve(run)
    figure = Figure(figsize=(figures.PAGE, 4.5), layout="constrained")
    figure.suptitle(title)
    left, right = figure.subplots(1, 2)
    _draw_score(left, rows, metric, dense_score)
    _draw_time(right, rows)
    return figures.save(figure, run / "curve")


def draw_kept(run: pathlib.Path) -> pathlib.Path:
    """Draws `run`/kept.png: one column per image, one row per density.

    Args:
        run: Folder that holds kept.npz: `images` [n, h, w, c] uint8, `patch` pixels
            per side, `labels` [n], `densities` [p], `predictions` [p, n] and `masks`
            [p, n, rows, columns]; `classes`, their names, where they are known. The
            first 32 images are drawn.

    Returns:
        The PNG.

    Example:
        >>> import pathlib
        >>> images = np.zeros((1, 8, 8, 1), np.uint8)
        >>> kept = dict(images=images, patch=4, labels=[3], masks=np.ones((1, 1, 2, 2)))
        >>> np.savez("kept.npz", **kept, densities=[1.0], predictions=[[3]])
        >>> reports.draw_kept(pathlib.Path()).name
        'kept.png'
    """
    with np.load(run / "kept.npz") as file:
        kept = dict(file)
    labels, densities = kept["labels"], kept["densities"]
    images = [_rgb(image) for image in kept["images"][:MOST_EXAMPLES]]
    called = lambda verb, label: (
        f"{verb} {kept['classes'][label]}" if "classes" in kept else f"class {label}"
    )
    size = 1.1 * len(images), 1.25 * (1 + len(densities))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(1 + len(densities), len(images), squeeze=False)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
    heads = ["image", *(f"keeps {density:.0%}" for density in densities)]
    for axes, head in zip(grid[:, 0], heads, strict=True):
        axes.set_ylabel(head, fontsize=8)
    for column, image in enumerate(images):
        label = labels[column]
        grid[0, column].imshow(image)
        grid[0, column].set_title(called("is", label), fontsize=8)
        for axes, masks, predictions in zip(
            grid[1:, column], kept["masks"], kept["predictions"], strict=True
        ):
            says = predictions[column]
            axes.imshow(_shade(image, masks[column], int(kept["patch"])))
            color = "black" if says == label else figures.ORANGE
            axes.set_xlabel(called("says", says), fontsize=8, color=color)
    return figures.save(figure, run / "kept")


def _draw_score(
    axes,
    rows: Sequence[Mapping[str, float]],
    metric: Metric,
    dense_score: float | None,
):
    small = dict(textcoords="offset points", fontsize="small")
    dense = rows[0]["macs_dense"] / 1e6
    points = [(row["macs_mean"] / 1e6, metric.shown(row["score"])) for row in rows]
    axes.plot(*zip(*points, strict=True), "o-", color=figures.BLUE)
    for number, (row, at) in enumerate(zip(rows, points, strict=True)):
        beside = (0, (-15, 8)[number % 2])  # neighbours may be close
        axes.annotate(f"{row['density']:.2f}", at, xytext=beside, ha="center", **small)
    axes.axvline(dense, color=figures.GREY, linestyle=":", label="dense MACs")
    if dense_score is not None:
        at = (dense, metric.shown(dense_score))
        points.append(at)
        axes.plot(*at, "*", color=figures.GREY, markersize=13, zorder=3)
        words = f"same network, all gates open: {at[1]:.3g} {metric.unit}"
        axes.annotate(words, at, xytext=(-10, 0), ha="right", va="center", **small)
    better = "higher" if metric.higher_is_better else "lower"
    title = f"{metric.words.capitalize()} against cost (labels: density)"
    axes.set_title(title, fontsize="medium")
    axes.set(ylabel=f"test {metric.label}, {better} is better")
    axes.set(xlim=(0, 1.08 * dense))
    axes.set_xlabel(f"MACs per {metric.noun} (millions; 1 MAC = 2 FLOPs)")
    scores = [score for _, score in points]
    least = 4.0 if metric.unit == "%" else 0.04 * max(map(abs, scores))
    figures.fit(axes, scores, least=least)


def _draw_time(axes, rows: Sequence[Mapping[str, float]]):
    told = "measured: median, quartiles"
    lines = [
        dict(budget=row["budget"], time=runs.quartiles(row), of=told) for row in rows
    ]
    looks = {told: figures.Stroke(figures.ORANGE, "s")}
    axes.plot([0, 1], [0, 1], color=figures.GREY, linestyle=":", label="time = MACs")
    figures.errorbars(axes, lines, "budget", "time", "of", looks=looks)
    clock = runs.BUSY if runs.is_busy(rows) else "compact execution"
    axes.set_title(f"Time against cost: {clock}", fontsize="medium")
    axes.set_xlim(0, 1.08)
    highest = max(high for _, _, high in map(runs.quartiles, rows))
    axes.set_ylim(0, max(1.08, 1.05 * highest))


def _rgb(image: np.ndarray) -> np.ndarray:
    image = image / 255
    return image[..., :3] if image.shape[-1] >= 3 else np.repeat(image[..., :1], 3, -1)


def _shade(image: np.ndarray, mask: np.ndarray, patch: int) -> np.ndarray:
    """Dims the closed patches and tints the open ones."""
    height, width, _ = image.shape
    open_pixel = mask.repeat(patch, 0).repeat(patch, 1)[:height, :width, None]
    return np.where(open_pixel, 0.75 * image + 0.25 * _KEPT, _DIMMED * image)
