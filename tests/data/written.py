"""A tiny data set for each source, written into a folder as people have it."""

import gzip
import wave

import numpy as np
import scipy.sparse
from PIL import Image

CUT = dict(validation_fraction=0.25, seed=0)
TWO_CUTS = dict(validation_fraction=0.2, test_fraction=0.2)
TEXT = "to be, or not to be: that is the question. " * 4 + "Zounds! "
LABELS = np.arange(24, dtype=np.uint8) % 3


def images(number, *shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (number, *shape), np.uint8)


def idx(array):
    """The bytes of an IDX file."""
    shape = np.array(array.shape, ">u4").tobytes()
    return bytes([0, 0, 8, array.ndim]) + shape + array.tobytes()


def idx_images(folder):
    write = lambda name, array: (folder / name).write_bytes(idx(array))
    write("train-images-idx3-ubyte", images(24, 6, 5))
    write("t10k-images.idx3-ubyte", images(6, 6, 5, seed=1))
    write("t10k-labels-idx1-ubyte", LABELS[:6])
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(LABELS)))
    return dict(path=str(folder), **CUT)


def cifar_rows(labels, seed=0):
    """The bytes of a batch: labels in front of each image."""
    pixels = images(len(labels), 3072, seed=seed)
    return np.concatenate([labels.reshape(len(labels), -1), pixels], 1).tobytes()


def cifar(folder):
    for number in range(1, 6):
        rows = cifar_rows(LABELS[:12], seed=number)
        (folder / f"data_batch_{number}.bin").write_bytes(rows)
    (folder / "test_batch.bin").write_bytes(cifar_rows(LABELS[:6]))
    (folder / "batches.meta.txt").write_text("cat\ndog\nfrog\n\n")
    return dict(path=str(folder), coarse=False, **CUT)


def cifar_100(folder):
    labels = np.stack([LABELS % 2, LABELS], 1)
    (folder / "train.bin").write_bytes(cifar_rows(labels))
    (folder / "test.bin").write_bytes(cifar_rows(labels[:6], seed=1))
    (folder / "coarse_label_names.txt").write_text("fish\nflowers\n")
    return dict(path=str(folder), coarse=False, **CUT)


def image_folder(folder, parts=("train", "val")):
    for part in parts:
        for label, name in enumerate(("ape", "bee")):
            (folder / part / name).mkdir(parents=True)
            for number in range(4):
                colour = (60 * number, 255 * label, 7)
                image = Image.new("RGB", (9 + number, 8), colour)
                image.save(folder / part / name / f"{number}.png")
    return dict(path=str(folder), side=6, **CUT)


def text(folder):
    (folder / "text.txt").write_text(TEXT)
    return dict(path=str(folder / "text.txt"), length=8, stride=1, **TWO_CUTS)


def tokens(folder):
    np.arange(200, dtype="<u2").tofile(folder / "tokens.bin")
    settings = dict(dtype="uint16", vocabulary=200, length=8, stride=4)
    return dict(path=str(folder / "tokens.bin"), **settings, **TWO_CUTS)


def write_wav(path, samples, *, channels=1, width=2, rate=16_000):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(np.asarray(samples, f"<i{width}").tobytes())


def wav_folder(folder):
    for label, word in enumerate(("no", "yes")):
        for number in range(3):
            name = folder / word / f"{number:08x}_nohash_0.wav"
            write_wav(name, np.arange(10 + 10 * number) + 100 * label)
    write_wav(folder / "_background_noise_" / "hum.wav", np.zeros(90))
    numbered = lambda number: f"no/{number:08x}_nohash_0.wav\n"
    (folder / "validation_list.txt").write_text(numbered(1))
    (folder / "testing_list.txt").write_text(numbered(2))
    settings = dict(path=str(folder), samples=20, sample_rate=16_000)
    return dict(**settings, **TWO_CUTS)


RATINGS = [  # user, item, rating, time; user 7 has too few
    (3, 50, 4.0, 5),
    (3, 40, 3.0, 2),
    (3, 30, 5.0, 9),
    (3, 20, 1.0, 1),
    (3, 10, 4.5, 7),
    (3, 10, 4.5, 3),
    (7, 50, 4.0, 1),
    (5, 10, 4.0, 1),
    (5, 20, 4.0, 2),
    (5, 30, 4.0, 3),
    (5, 60, 4.0, 4),
]


def interactions(folder):
    lines = [",".join(map(str, row)) for row in RATINGS]
    header = "userId,movieId,rating,timestamp"
    (folder / "ratings.csv").write_text("\r\n".join([header, *lines, ""]))
    settings = dict(max_length=3, min_rating=0.0, seed=0)
    return dict(path=str(folder / "ratings.csv"), **settings)


def interactions_dat(folder):
    lines = ["::".join(map(str, row)) for row in RATINGS]
    (folder / "ratings.dat").write_text("\n".join(lines))
    return interactions(folder) | dict(path=str(folder / "ratings.dat"))


def interactions_csr(folder):
    user, item, rating, _ = np.array(RATINGS).T
    matrix = scipy.sparse.csr_array((rating, (user.astype(int), item.astype(int))))
    scipy.sparse.save_npz(folder / "ratings.npz", matrix)
    return interactions(folder) | dict(path=str(folder / "ratings.npz"))


def csv_table(folder):
    rng = np.random.default_rng(0)
    lines = [
        f"{i},{a:.3f},7,{b:.3f}" for i, (a, b) in enumerate(rng.normal(size=(20, 2)))
    ]
    (folder / "table.csv").write_text("\n".join(["id,width,same,price", *lines]) + "\n")
    settings = dict(path=str(folder / "table.csv"), target="price", ignored=("id",))
    return dict(**settings, seed=0, **TWO_CUTS)


WRITERS = dict(
    idx_images=idx_images,
    cifar=cifar,
    cifar_100=cifar_100,
    image_folder=image_folder,
    text=text,
    tokens=tokens,
    wav_folder=wav_folder,
    interactions=interactions,
    interactions_dat=interactions_dat,
    interactions_csr=interactions_csr,
    csv_table=csv_table,
)


def written(row, folder):
    """The config of a data set that a row of `WRITERS` writes."""
    name = row if row in ("cifar", "idx_images") else row.removesuffix("_100")
    name = name.removesuffix("_dat").removesuffix("_csr")
    return dict(name=name) | WRITERS[row](folder)
