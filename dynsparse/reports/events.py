"""Event files of TensorBoard."""

import os
import pathlib
import time
import uuid
from typing import Any

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto import event_pb2

_proto: Any = event_pb2  # its classes are made when it is imported


class Events:
    """Appends to an event file of its own.

    It writes in the thread of its caller, who learns what goes wrong: the writer of
    tensorboardX has a thread that a full disk ends, and a queue that is then never
    emptied.

    Args:
        folder: Of the file; made where it is not there.
        purge_step: Hides what other files of the folder say of this step and later
            ones.
    """

    def __init__(self, folder: pathlib.Path, purge_step: int | None = None):
        folder.mkdir(parents=True, exist_ok=True)
        # Two writers of one second would overwrite each other's file.
        unique = f".{os.getpid()}.{uuid.uuid4().hex}"
        self._file = EventsWriter(str(folder.absolute() / "events"), unique)
        if purge_step is not None:
            started = _proto.SessionLog(status=_proto.SessionLog.START)
            self._write(_proto.Event(step=purge_step, session_log=started))

    def __enter__(self) -> "Events":
        return self

    def __exit__(self, *_):
        self.close()

    def add(self, summary: Any, step: int | None = None):
        """Appends a summary, as the functions of `tensorboardX.summary` make them.

        Args:
            summary: To append.
            step: That it is of, if any.
        """
        event = _proto.Event(summary=summary)
        if step is not None:
            event.step = step
        self._write(event)

    def flush(self):
        """Puts what was appended on the disk."""
        self._file.flush()

    def close(self):
        """Closes the file."""
        self._file.close()

    def _write(self, event: Any):
        event.wall_time = time.time()
        self._file.write_event(event)
