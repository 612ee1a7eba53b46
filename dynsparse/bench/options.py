"""Options of a load test that a user may set."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoadTestOptions:
    """Options of a load test.

    Attributes:
        load: Name of a load profile, a key of `PROFILES`.
        seconds: Duration of each replay of the load, > 0.
        rounds: Number of times that every policy replays the load, at least 1.
        request_size: Examples per request, at least 1.
        rungs: Number of budgets to compile, at least 2; budgets that open the same
            units become one rung.
        lowest: Smallest budget, as a fraction of the dense MACs, in (0, 1). The ladder
            starts higher where the model was not trained at so low a density.
        least_score: Validation score that a rung needs for the controller to use
            it, in [0, 1].
        seed: Seed of the arrival times.

    >>> from dynsparse.bench.options import LoadTestOptions
    >>> LoadTestOptions(load="sine", seconds=3.0).rounds
    3
    """

    load: str = "spike"
    seconds: float = 9.0
    rounds: int = 3
    request_size: int = 64
    rungs: int = 6
    lowest: float = 0.15
    least_score: float = 0.0
    seed: int = 0
