"""Executions: which units a gated layer computes."""

import math
from typing import ClassVar, Literal

from flax import nnx

Axis = Literal["units", "fields", "example", "answer", "rows"]
_EXECUTIONS = ("masked", "compact", "dense")


class Executed(nnx.Module):
    """Module that a view runs masked, compact or dense.

    Attributes:
        execution: "masked", "compact" or "dense".
        forced_count: Units of an example that compact execution runs whatever the gate
            decides; None where the gate decides.
        capacity_steps: Capacities of compact execution where the count varies: more of
            them waste less and compile longer.
        num_units: Units per example, or per row where `score_axis` is "rows".
        score_axis: What the gate decides over, as in `GatedLayer`.
    """

    execution: str = "masked"
    forced_count: int | None = None
    capacity_steps: int = 8
    num_units: int
    score_axis: ClassVar[Axis]

    def set_view(
        self,
        execution: str | None = None,
        forced_count: int | None = None,
        capacity_steps: int | None = None,
    ):
        """Lets `nnx.view(model, execution="compact")` choose the execution.

        Args:
            execution: "masked", "compact" or "dense".
            forced_count: Units of an example that compact execution runs whatever the
                gate decides, in [0, num_units]; where rows decide, pairs of a row and a
                unit of the whole batch. Bills price counts by it.
            capacity_steps: At least 1.

        Raises:
            ValueError: If a value is none of these.
        """
        most = self.num_units if self.score_axis != "rows" else math.inf
        if capacity_steps is not None and capacity_steps < 1:
            raise ValueError(
                f"capacity_steps must be at least 1, got {capacity_steps}."
            )
        if execution not in (None, *_EXECUTIONS):
            raise ValueError(
                f"execution must be one of {_EXECUTIONS}, got {execution!r}."
            )
        if forced_count is not None and not 0 <= forced_count <= most:
            raise ValueError(
                f"forced_count must be in [0, {most}], got {forced_count}."
            )
        if capacity_steps is not None:
            self.capacity_steps = capacity_steps
        if execution is not None:
            self.execution = execution
        if forced_count is not None:
            self.forced_count = forced_count
