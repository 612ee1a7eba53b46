"""What a trained state answers on a split, and what that costs."""

from dynsparse.costs import Bill, itemize
from dynsparse.data import Split
from dynsparse.training.evaluation import Evaluation, Forward, compile_forward, evaluate
from dynsparse.training.experiment import Experiment
from dynsparse.training.step import State


def audit(
    experiment: Experiment,
    state: State,
    split: Split,
    *,
    forward: Forward | None = None,
) -> tuple[Evaluation, Bill]:
    """Evaluates a state and prices its decisions.

    Args:
        experiment: What was trained.
        state: Holds the parameters.
        split: What to answer.
        forward: From `compile_forward`; masked execution, compiled anew, if None.
    """
    answers = evaluate(
        forward or compile_forward(experiment.trainer),
        state,
        split,
        batch_size=experiment.settings.evaluation.batch_size,
    )
    bill = itemize(experiment.prices, answers.masks, num_examples=len(split))
    return answers, bill
