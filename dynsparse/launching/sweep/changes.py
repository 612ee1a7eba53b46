"""What a command changes in every trial of a sweep: its task, and single values."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from dynsparse.launching.command_line import flag_of
from dynsparse.launching.errors import UserError
from dynsparse.launching.overrides import override


@dataclasses.dataclass(frozen=True)
class Changes:
    """Other images, or other values, than an experiment asks for.

    Attributes:
        words: Of the command line, by key: `--config=FILE.py`, whose task takes the
            place of that of every trial, `--config=FILE.py:METHOD` for an experiment
            that takes a method, and `--config.KEY=VALUE`, as for a single run.
    """

    words: tuple[str, ...] = ()

    @classmethod
    def split(cls, argv: Sequence[str]) -> tuple["Changes", list[str]]:
        """Returns the changes of a command line, and its other words.

        Raises:
            UserError: If a change has no value, or is that of the seed.
        """
        given = [word for word in argv if _changes(word)]
        for word in given:
            key, equals, value = word.partition("=")
            if not (equals and value):
                raise UserError(f"{key} needs a value: {key}=VALUE")
            if flag_of(word) == "config.seed":
                raise UserError(f"{word}: each trial of a sweep has a seed of its own")
        plain = [f"--{word.lstrip('-')}" for word in given]
        words = sorted(plain, key=lambda word: word.partition("=")[0])
        return cls(tuple(words)), [word for word in argv if not _changes(word)]

    @property
    def task(self) -> str | None:
        """The file of the task, if the command names one."""
        return self._config.partition(":")[0] or None

    @property
    def method(self) -> str | None:
        """What follows it, "METHOD" or "METHOD,MODEL,BUDGET", if the command does."""
        return self._config.partition(":")[2] or None

    @property
    def _config(self) -> str:
        configs = [word for word in self.words if flag_of(word) == "config"]
        return configs[-1].partition("=")[2] if configs else ""

    @property
    def other_images(self) -> str | None:
        """The word that takes the task away from the trials, if the command has one."""
        takes = ("config", "config.data", "config.data.name")
        return next((word for word in self.words if flag_of(word) in takes), None)

    def place(
        self, config: str, overrides: Mapping[str, Any]
    ) -> tuple[str, Mapping[str, Any]]:
        """Returns the config and overrides of a trial, for the same method.

        Where the task is another, what a trial overrides of its `data` goes with it.

        Args:
            config: "FILE.py" or "FILE.py:ARGUMENT".
            overrides: Values by dotted key.
        """
        if self.task is None:
            return config, overrides
        _, colon, argument = config.partition(":")
        kept = {k: v for k, v in overrides.items() if not k.startswith("data.")}
        return self.task + colon + argument, kept

    def apply(self, config: ConfigDict) -> ConfigDict:
        """Returns the config with the values that the command names.

        Raises:
            UserError: If a key or a value is not accepted.
        """
        return override(
            config, ["", *(w for w in self.words if flag_of(w) != "config")]
        )


NO_CHANGES = Changes()


def _changes(word: str) -> bool:
    name = flag_of(word) or ""
    return name == "config" or name.startswith("config.")
