"""Causal models: no decision may read tokens that are later than those it is about."""

from flax import nnx

from dynsparse._internal.paths import path_name


def check_later_tokens(model: nnx.Module):
    """Raises a ValueError where a causal model would decide by later tokens.

    A model is causal that has a module whose attribute `causal` is True, such as
    `layers.Attention(causal=True)`. While it trains on whole sequences its tokens may
    compete (Mixture-of-Depths, arXiv:2404.02258); what it answers then holds for no
    decoder, so that perplexities would be too low.

    Args:
        model: As it answers; gated layers tell by `reads_later`.
    """
    modules = [(tuple(path), module) for path, module in nnx.iter_modules(model)]
    found = {path: getattr(module, "reads_later", None) for path, module in modules}
    reasons = {path: reason for path, reason in found.items() if reason}
    causal = [
        path_name(path) or "the model"
        for path, module in modules
        if getattr(module, "causal", None) is True and not hasattr(module, "competes")
    ]
    for path, reason in reasons.items() if causal else ():
        name = path_name(path) or type(model).__name__
        raise ValueError(f"{name}: {reason}. The model is causal ({causal[0]}).")
