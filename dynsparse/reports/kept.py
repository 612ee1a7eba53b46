"""What the gates kept: images with their closed patches dimmed, from kept.npz."""

import pathlib

import numpy as np
from matplotlib.figure import Figure

from dynsparse.reports.style import save

MOST_IMAGES = 32  # columns of the figure

_DIMMED = 0.25
_KEPT = np.array([0.90, 0.62, 0.0])  # tints the kept patches


def draw_kept(run: pathlib.Path) -> pathlib.Path:
    """Draws `run`/kept.png: one column per image, one row per density.

    Args:
        run: Folder that holds kept.npz: `images` [n, h, w, c] uint8, `patch` pixels
            per side, `labels` [n], `densities` [p], `predictions` [p, n] and `masks`
            [p, n, rows, columns]; `classes`, their names, where they are known. The
            first 32 images are drawn.

    Returns:
        The file.
    """
    with np.load(run / "kept.npz") as file:
        images, labels = file["images"][:MOST_IMAGES], file["labels"]
        patch, densities = int(file["patch"]), file["densities"]
        predictions, masks = file["predictions"], file["masks"]
        names = file.get("classes")
    called = lambda verb, label: (
        f"class {label}" if names is None else f"{verb} {names[label]}"
    )
    number = len(images)
    size = 1.1 * number, 1.25 * (1 + len(densities))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(1 + len(densities), number, squeeze=False)
    for axes in grid.flat:
        axes.set_xticks([])
        axes.set_yticks([])
    colour = [_rgb(image) for image in images]
    for column, axes in enumerate(grid[0]):
        axes.imshow(colour[column])
        axes.set_title(called("is", labels[column]), fontsize=8)
    grid[0, 0].set_ylabel("image", fontsize=8)
    for row, density in enumerate(densities):
        for column in range(number):
            axes = grid[1 + row, column]
            axes.imshow(_shade(colour[column], masks[row, column], patch))
            right = predictions[row, column] == labels[column]
            axes.set_xlabel(
                called("says", predictions[row, column]),
                fontsize=8,
                color="black" if right else "#D55E00",
            )
        grid[1 + row, 0].set_ylabel(f"keeps {density:.0%}", fontsize=8)
    return save(figure, run / "kept")


def _rgb(image: np.ndarray) -> np.ndarray:
    image = image / 255
    return image[..., :3] if image.shape[-1] >= 3 else np.repeat(image[..., :1], 3, -1)


def _shade(image: np.ndarray, mask: np.ndarray, patch: int) -> np.ndarray:
    """Dims the closed patches and tints the open ones."""
    height, width, _ = image.shape
    open_pixel = mask.repeat(patch, 0).repeat(patch, 1)[:height, :width, None]
    return np.where(open_pixel, 0.75 * image + 0.25 * _KEPT, _DIMMED * image)
