"""The data sets that `prepare` knows: where they are, what of them is read, and counts.

Digests are those that the makers, or the libraries that most people get them by,
publish; the comment at each says where.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dynsparse.launching.known_data.hub import (
    CIFAR_10,
    CIFAR_100,
    cifar_pieces,
    idx_pieces,
    text_pieces,
)
from dynsparse.launching.known_data.pieces import Piece


@dataclasses.dataclass(frozen=True, kw_only=True)
class KnownData:
    """A data set that is known by name.

    Attributes:
        home: Where its makers publish it.
        archive: What is to be got there.
        place: Path that a file of the archive has in the folder; None where it is not
            used.
        source: Section `data` of a config, but for its path.
        read: What of the folder the source reads.
        examples: Number of examples to train on, validate on and test on, by `source`.
        facts: Facts that the source must find.
        class_counts: Number of examples of each class, in all parts; empty where they
            are not known.
        published: Digests of files as they are published, "md5:..." or "sha256:...".
        class_names: Written into class_names.txt, where the archive has no names.
        hub: Reads it from Hugging Face; None where it is not there as plain data.
        config: A config whose task learns it; None where there is none yet.
    """

    home: str
    archive: str
    place: Callable[[str], str | None]
    source: Mapping[str, Any]
    read: str = ""
    examples: tuple[int, int, int]
    facts: Mapping[str, Any]
    class_counts: tuple[int, ...] = ()
    published: Mapping[str, str] = dataclasses.field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    hub: Callable[[], Iterator[Piece]] | None = None
    config: str | None = None


def _among(*names: str) -> Callable[[str], str | None]:
    """Places files of some names, wherever they lie in the archive."""

    def place(path: str) -> str | None:
        name = pathlib.PurePosixPath(path).name
        return name if name in names else None

    return place


def _place_idx(path: str) -> str | None:
    name = pathlib.PurePosixPath(path).name.replace(".idx", "-idx")
    return name if name.removesuffix(".gz") in _IDX else None


def _place_wav(path: str) -> str | None:
    name = pathlib.PurePosixPath(path)
    if name.name in ("validation_list.txt", "testing_list.txt"):
        return name.name
    sound = name.suffix == ".wav" and not name.name.startswith(".")
    inside = len(name.parts) > 1 and ".." not in name.parts
    return "/".join(name.parts[-2:]) if sound and inside else None


def _place_text(path: str) -> str | None:
    known = ("input.txt", "tinyshakespeare.txt", "tiny_shakespeare.txt")
    return "input.txt" if pathlib.PurePosixPath(path).name in known else None


_IDX = tuple(
    f"{part}-{kind}-ubyte"
    for part in ("train", "t10k")
    for kind in ("images-idx3", "labels-idx1")
)
_CUT = dict(validation_fraction=0.1, seed=0)
_CLOTHES = ["Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag"]
_FASHION = ("T-shirt/top", *_CLOTHES, "Ankle boot")
_SHAKESPEARE = dict(length=256, stride=1, validation_fraction=0.05, test_fraction=0.05)

KNOWN = {
    "mnist": KnownData(
        home="https://yann.lecun.com/exdb/mnist",
        archive="the four files *-ubyte.gz",
        place=_place_idx,
        source=dict(name="idx_images", **_CUT),
        config="npz_images",
        examples=(54_000, 6_000, 10_000),
        facts=dict(num_classes=10),
        class_counts=(6903, 7877, 6990, 7141, 6824, 6313, 6876, 7293, 6825, 6958),
        published={  # torchvision/datasets/mnist.py
            f"{_IDX[0]}.gz": "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
            f"{_IDX[1]}.gz": "md5:d53e105ee54ea40749a09fcbcd1e9432",
            f"{_IDX[2]}.gz": "md5:9fb629c4189551a2d022fa330f9573f3",
            f"{_IDX[3]}.gz": "md5:ec29112dd5afa0611ce80d1b7f02629c",
        },
        class_names=tuple("0123456789"),
        hub=functools.partial(idx_pieces, "ylecun/mnist"),
    ),
    "fashion_mnist": KnownData(
        home="https://github.com/zalandoresearch/fashion-mnist",
        archive="the four files *-ubyte.gz of data/fashion",
        place=_place_idx,
        source=dict(name="idx_images", **_CUT),
        config="fashion_mnist",
        examples=(54_000, 6_000, 10_000),
        facts=dict(num_classes=10),
        class_counts=(7_000,) * 10,
        published={  # the README of its repository
            f"{_IDX[0]}.gz": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            f"{_IDX[1]}.gz": "md5:25c81989df183df01b3e8a0aad5dffbe",
            f"{_IDX[2]}.gz": "md5:bef4ecab320f06d8554ea6380940ec79",
            f"{_IDX[3]}.gz": "md5:bb300cfdad3c16e7a12a480ee83cd310",
        },
        class_names=_FASHION,
        hub=functools.partial(idx_pieces, "zalando-datasets/fashion_mnist"),
    ),
    "cifar10": KnownData(
        home="https://www.cs.toronto.edu/~kriz/cifar.html",
        archive="cifar-10-binary.tar.gz",
        place=_among(*CIFAR_10, "batches.meta.txt"),
        source=dict(name="cifar", coarse=False, **_CUT),
        config="npz_images",
        examples=(45_000, 5_000, 10_000),
        facts=dict(num_classes=10),
        class_counts=(6_000,) * 10,
        # the page itself
        published={"cifar-10-binary.tar.gz": "md5:c32a1d4ab5d03f1284b67883e8d87530"},
        hub=functools.partial(cifar_pieces, "uoft-cs/cifar10", CIFAR_10, ("label",)),
    ),
    "cifar100": KnownData(
        home="https://www.cs.toronto.edu/~kriz/cifar.html",
        archive="cifar-100-binary.tar.gz",
        place=_among(*CIFAR_100, "fine_label_names.txt", "coarse_label_names.txt"),
        source=dict(name="cifar", coarse=False, **_CUT),
        config="npz_images",
        examples=(45_000, 5_000, 10_000),
        facts=dict(num_classes=100),
        class_counts=(600,) * 100,
        # the page itself
        published={"cifar-100-binary.tar.gz": "md5:03b5dce01913d631647c71ecec9e9cb8"},
        hub=functools.partial(
            cifar_pieces, "uoft-cs/cifar100", CIFAR_100, ("coarse_label", "fine_label")
        ),
    ),
    "tinyshakespeare": KnownData(
        home="https://github.com/karpathy/char-rnn",
        archive="data/tinyshakespeare/input.txt",
        place=_place_text,
        source=dict(name="text", **_SHAKESPEARE),
        config="text",
        read="input.txt",
        examples=(1_003_598, 217, 217),
        facts=dict(vocabulary=66),
        # the digest of this file in its repository, as many who use it record it
        published={
            "input.txt": "sha256:"
            "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
        },
        hub=functools.partial(
            text_pieces, "karpathy/tiny_shakespeare", "refs/convert/parquet"
        ),
    ),
    "speech_commands": KnownData(
        home="http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
        archive="speech_commands_v0.02.tar.gz",
        place=_place_wav,
        source=dict(
            name="wav_folder",
            samples=16_000,
            sample_rate=16_000,
            validation_fraction=0.1,
            test_fraction=0.1,
        ),
        examples=(84_843, 9_981, 11_005),
        facts=dict(num_classes=35),
        published={  # torchaudio/datasets/speechcommands.py
            "speech_commands_v0.02.tar.gz": "sha256:"
            "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58"
        },
    ),
    "movielens_small": KnownData(
        home="https://grouplens.org/datasets/movielens/latest",
        archive="ml-latest-small.zip of September 2018",
        place=_among("ratings.csv"),
        source=dict(name="interactions", max_length=50, min_rating=0.0, seed=0),
        read="ratings.csv",
        examples=(610, 610, 610),
        facts=dict(num_users=610, num_items=9_724),
    ),
}
