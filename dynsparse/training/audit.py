"""What a trained state answers on a split, and what that costs."""

from dynsparse.costs import Bill, itemize
from dynsparse.data import Split
from dynsparse.training.evaluation import Evaluation, Forward, compile_forward, evaluate
from dynsparse.training.prepare import PreparedRun
from dynsparse.training.step import State


def audit(
    prepared: PreparedRun,
    state: State,
    split: Split,
    *,
    forward: Forward | None = None,
) -> tuple[Evaluation, Bill]:
    """Evaluates a state and prices its decisions.

    Args:
        prepared: What was trained.
        state: Holds the parameters.
        split: What to answer.
        forward: From `compile_forward`; masked execution, compiled anew, if None.
    """
    answers = evaluate(
        forward or compile_forward(prepared.trainer),
        state,
        split,
        batch_size=prepared.settings.evaluation.batch_size,
    )
    bill = itemize(prepared.prices, answers.masks, num_examples=len(split))
    return answers, bill
