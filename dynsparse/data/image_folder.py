"""Images in a folder per class, as ImageNet has them."""

import functools
import pathlib

import numpy as np
from PIL import Image, ImageOps

from dynsparse._internal.ranges import Count
from dynsparse.data.base.cuts import check_fractions, cut_by_label
from dynsparse.data.base.labelled_files import class_folders, find_files
from dynsparse.data.base.paths import existing_folder
from dynsparse.data.base.splits import Splits

_ACCEPTED = "a folder with train/CLASS/*.jpg, and test/ or val/ of the same classes"
_ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm"}


def make(*, path: str, side: Count, validation_fraction: float, seed: int) -> Splits:
    """Finds images; each is read when it is asked for.

    The longest square in the middle of an image is resized to `side` by bicubic
    interpolation, and has three channels whatever the file has. Classes are the folders
    of `train`, sorted by name.

    The test part is `test`, or else `val`, which is what is reported of ImageNet.
    Validation is `val` where there are both, and otherwise cut from `train`.

    Args:
        path: Folder with train, and test or val.
        side: Height and width of an image, in pixels.
        validation_fraction: Share of the training images that is set aside for
            validation where no folder is, in (0, 1), stratified by label.
        seed: Seed of that choice.

    Raises:
        ValueError: If a folder is missing, has other classes or is empty; and, as it is
            read, if a file is no image. The message names it.
    """
    check_fractions(validation_fraction=validation_fraction)
    folder = existing_folder(path, _ACCEPTED)
    parts = [name for name in ("val", "test") if (folder / name).is_dir()]
    if not parts or not (folder / "train").is_dir():
        missing = "test or val" if not parts else "train"
        raise ValueError(f"{folder}: has no folder {missing}; accepted: {_ACCEPTED}.")
    class_names = class_folders(folder / "train", _ACCEPTED)
    read = functools.partial(_read, side=side)
    train, *held_out = (
        find_files(folder / name, class_names, _ENDINGS, read)
        for name in ("train", *parts)
    )
    if len(held_out) == 1:
        chosen, validated = cut_by_label(
            folder, train.labels, validation_fraction, seed
        )
        held_out.insert(0, train.take(validated))
        train = train.take(chosen)
    validation, test = held_out
    return Splits(
        train=train,
        validation=validation,
        test=test,
        facts=dict(num_classes=len(class_names), class_names=class_names),
    )


def _read(path: pathlib.Path, side: int) -> dict[str, np.ndarray]:
    try:
        with Image.open(path) as image:
            fitted = ImageOps.fit(
                image.convert("RGB"), (side, side), Image.Resampling.BICUBIC
            )
    except Exception as error:  # each format raises its own
        raise ValueError(f"{path}: not a readable image ({error}).") from error
    return dict(image=np.asarray(fitted))
