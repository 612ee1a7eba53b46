"""The k highest scores, without a gradient: for scores that nobody has to learn."""

from dynsparse.gates.base.topk import TopkGate


class HardTopk(TopkGate):
    """Top-k gate that teaches the scores nothing: exactly round(density * n) open.

    With a scorer that learns nothing (the magnitude of the features) a control; with
    one that is trained elsewhere, a gate for inference.

    Args:
        density: Fraction of units to open, in [0, 1].
        rngs: Unused: there is no noise.
    """
