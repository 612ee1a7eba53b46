"""Event files of TensorBoard, and the summary of a sweep in them."""

import os
import pathlib
import shutil
import time
import uuid
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import matplotlib.image
import numpy as np
from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto import event_pb2

from dynsparse.reports import tradeoff
from dynsparse.reports.stats import Row, grouped

SUMMARY = "_summary"
_CHARTS = {
    "accuracy against kFLOPs, by method": "methods/accuracy",
    "time over dense time against kFLOPs": "methods/time_over_dense",
    "accuracy against kFLOPs, every run": "curve/accuracy",
    "validation accuracy while training": "validation/accuracy",
    "density while training": "train/density",
}
_proto: Any = event_pb2  # its classes are made when it is imported


class Events:
    """Appends to an event file of its own.

    It writes in the thread of its caller, who learns what goes wrong: the writer of
    tensorboardX has a thread that a full disk ends, and a queue that is then never
    emptied.

    Args:
        folder: Where the file is; made if it is not there.
        purge_step: Hides what other files of the folder say of this step and later
            ones.

    Example:
        >>> import pathlib
        >>> with reports.Events(pathlib.Path("logs")) as events:
        ...     _ = events.flush()
    """

    def __init__(self, folder: pathlib.Path, purge_step: int | None = None):
        folder.mkdir(parents=True, exist_ok=True)
        # Two writers of one second would overwrite each other's file.
        unique = f".{os.getpid()}.{uuid.uuid4().hex}"
        self._file = EventsWriter(str(folder.absolute() / "events"), unique)
        self.flush, self.close = self._file.flush, self._file.close
        if purge_step is not None:
            started = _proto.SessionLog(status=_proto.SessionLog.START)
            self._write(_proto.Event(step=purge_step, session_log=started))

    def __enter__(self) -> "Events":
        return self

    def __exit__(self, *_):
        self.close()

    def add(self, content: Any, step: int | None = None):
        """Appends a summary.

        Args:
            content: Made by a function of `tensorboardX.summary`.
            step: Step of the content, if it has one.
        """
        event = _proto.Event(summary=content)
        if step is not None:
            event.step = step
        self._write(event)

    def _write(self, event: Any):
        event.wall_time = time.time()
        self._file.write_event(event)


def write_board(sweep: pathlib.Path, rows: Sequence[Row]) -> pathlib.Path:
    """Writes the run `_summary` of a sweep, anew.

    It holds figure.png as an image, report.md as text and the layout of the custom
    scalars: accuracy and density while training, and accuracy against cost. Inside, the
    run METHOD@kflops has the means over seeds of a method's points, in the order of
    their FLOPs / 1000, which stand where steps would: one line per method, also where
    each point is a run of its own.

    Args:
        sweep: Folder with report.md and perhaps figure.png.
        rows: As of `read_points`.

    Returns:
        The folder of the summary.

    Example:
        >>> import pathlib
        >>> row = dict(method="soft_topk", setting="any", seed=0, score=0.9)
        >>> row |= dict(macs_mean=1e6, macs_dense=4e6)
        >>> row |= dict(latency_ms=1.0, latency_dense_ms=2.0)
        >>> _ = pathlib.Path("report.md").write_text("# A sweep")
        >>> folder = reports.write_board(pathlib.Path(), [row])
        >>> [path.name for path in folder.glob("*@kflops")]
        ['soft_topk@kflops']
    """
    folder = sweep / SUMMARY
    shutil.rmtree(folder, ignore_errors=True)
    with Events(folder) as board:
        lines = (sweep / "report.md").read_text().splitlines()
        text = "\n".join(line for line in lines if not line.startswith("!["))
        board.add(summary.text("report", text))  # it cannot follow the path of an image
        if (sweep / "figure.png").exists():
            image = matplotlib.image.imread(sweep / "figure.png")[..., :3]
            pixels = (255 * image).round().astype(np.uint8)
            board.add(summary.image("figure", pixels, dataformats="HWC"))
        charts = {title: ["Multiline", [tag]] for title, tag in _CHARTS.items()}
        board.add(summary.custom_scalars({sweep.resolve().name: charts}))
    dense = max(row["macs_dense"] for row in rows)
    points = tradeoff.read_points(rows)
    for method, some in grouped(points, itemgetter("method")).items():
        with Events(folder / f"{method}@kflops") as board:
            for row in reversed(tradeoff.means(some)):
                kflops = round(2 * row["macs"].mean * dense / 1000)  # 1 MAC = 2 FLOPs
                tags = dict(accuracy=row["accuracy"], time_over_dense=row["time"])
                for tag, value in tags.items():
                    board.add(summary.scalar(f"methods/{tag}", value.mean), kflops)
    return folder
