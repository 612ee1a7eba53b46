"""Models: plain networks and rules that gate them, one architecture per file."""

import bisect
from collections.abc import Sequence
from typing import Any

import jax
from flax import nnx

from dynsparse import costs
from dynsparse._internal import registry
from dynsparse._internal.suggest import did_you_mean
from dynsparse.gates import evaluating
from dynsparse.layers.rules.sparsify import sparsify, sparsify_unproved
from dynsparse.models.decoder import generate

__all__ = ["available", "check", "from_config", "generate", "narrower"]

_GATING = ("granularity", "rules")


def available() -> list[str]:
    """Returns the names of the models of this library.

    >>> models.available()
    ['conv_vit', 'decoder', 'encoder', 'mixer', 'residual_mlp', 'resnet', 'vit']
    """
    return registry.available(__name__)


def from_config(
    config: registry.Config,
    *,
    gate: registry.Config,
    scorer: registry.Config,
    rngs: nnx.Rngs,
    example: Any = None,
    **data: Any,
) -> nnx.Module:
    """Builds the model that `config` names and gates it.

    Args:
        config: `name`, one of `available()` or "package.module:Class" (or a function);
            exactly the keys of that model's constructor; and what to gate: `rules`, as
            in `layers.sparsify` but without gates and scorers, or `granularity`, of
            which the model's method `rules(granularity)` makes them.
        gate: Config of the model's gates, for `gates.from_config`.
        scorer: Config of the gates' scorers, for `layers.make_scorer`.
        rngs: Streams `params`, which initialises, and `gate`, the noise of the gates.
        example: How the model is called, as in `layers.sparsify`; rules are proved on
            it, but for those that a model of this library makes, which its tests prove.
        **data: Constructor arguments that depend on the data: `image_shape` (height,
            width, channels) and `num_classes` for images, `vocabulary` and `length`
            (tokens of a sequence) for text.

    Raises:
        ValueError: If a name, key or value is not accepted.

    >>> model = models.from_config(
    ...     dict(name="mixer", granularity="neurons", patch=4, width=4, depth=1,
    ...          token_width=4, mlp_width=8),
    ...     gate=dict(name="hard_topk", density=0.5),
    ...     scorer=dict(name="mlp", hidden=1),
    ...     rngs=nnx.Rngs(0, gate=1),
    ...     image_shape=(8, 8, 1),
    ...     num_classes=3,
    ... )
    >>> type(model.body.blocks[0].mlp).__name__
    'GatedNeurons'
    """
    network, gating = _parted(config)
    model = registry.build(__name__, network, rngs=rngs, **data)
    rules = gating.get("rules") or _rules(model, gating["granularity"])
    rules = {
        pattern: dict(gate=gate, scorer=scorer) | dict(rule)
        for pattern, rule in dict(rules).items()
    }
    if "rules" not in gating and ":" not in network["name"]:
        return sparsify_unproved(model, rules, rngs=rngs)
    return sparsify(model, rules, example, rngs=rngs)


def check(config: registry.Config, given: Sequence[str] | None):
    """Refuses a name, a key, or a value of the wrong type, without building.

    Args:
        config: As in `from_config`.
        given: Names of the arguments that the data decide, such as `image_shape`; None
            where they are not known yet: then keys are left alone.

    Raises:
        ValueError: If a name, key or type is not accepted.

    >>> images = ("image_shape", "num_classes")
    >>> models.check(dict(name="resnet", granularity="blocks", depht=8), images)
    Traceback (most recent call last):
    ValueError: model...: resnet has no key 'depht'; accepted: ...
    """
    keys, _ = _parted(config)
    if given is not None:
        registry.check(__name__, keys, ("rngs", *given))


def _parted(config: registry.Config) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keys of the network, and those that say what of it is gated.

    Raises:
        ValueError: If there are not either rules or a granularity that the network has.
    """
    keys = dict(config)
    gating = {name: keys.pop(name) for name in _GATING if name in keys}
    name = keys.get("name")
    if not isinstance(name, str):
        return keys, gating  # for the registry to refuse
    make = registry.find(__name__, name)
    if len(gating) != 1:
        raise ValueError(
            f"model: {name} needs either granularity or rules, which say what is "
            f"gated; got {' and '.join(gating) or 'neither'}."
        )
    if "rules" in gating:
        _check_rules(gating["rules"])
        return keys, gating
    granularity = gating["granularity"]
    accepted = getattr(make, "granularities", None)
    if accepted is not None and granularity not in accepted:
        raise ValueError(
            f"model: granularity must be one of {accepted}, got {granularity!r}"
            f"{did_you_mean(str(granularity), accepted)}"
        )
    return getattr(make, "variants", {}).get(granularity, {}) | keys, gating


def _check_rules(rules: Any):
    """Refuses rules that are no sections, and gates and scorers of their own."""
    if not hasattr(rules, "keys") or not len(rules):
        raise ValueError(f"model.rules must have a section a pattern, got {rules!r}.")
    for pattern in rules:
        rule = rules[pattern]
        if not hasattr(rule, "keys"):
            raise ValueError(
                f"model.rules: {pattern!r} must be a section of keys, got {rule!r}."
            )
        for key in ("gate", "scorer"):
            if key in rule:
                raise ValueError(
                    f"model.rules: {pattern!r} has a {key}, but that of a run is the "
                    f"section {key} of its config, for all rules."
                )


def _rules(model: Any, granularity: str) -> Any:
    try:
        make = model.rules
    except AttributeError:
        raise ValueError(
            f"model: {type(model).__name__} has no method rules(granularity); give "
            f'rules, such as rules={{"blocks/*": {{"granularity": "{granularity}"}}}}.'
        ) from None
    return make(granularity)


def narrower(
    config: registry.Config,
    budget: float,
    *,
    example: jax.ShapeDtypeStruct,
    **data: Any,
) -> dict[str, Any]:
    """Returns the config of a narrower dense network at a given share of the MACs.

    It is the static baseline of a gated model with the same budget.

    Args:
        config: Config of the model whose dense MACs count as 1.
        budget: Share of them that the narrower network may spend, in (0, 1].
        example: One input, with its batch axis of size 1.
        **data: As in `from_config`.

    Returns:
        The widest config of the model's `narrowed(config)` within the budget. Train it
        with the dense gate.

    Raises:
        ValueError: If even the narrowest network costs more.

    >>> config = dict(
    ...     name="mixer", granularity="blocks", patch=4, width=8, depth=1,
    ...     token_width=4, mlp_width=16,
    ... )
    >>> example = jax.ShapeDtypeStruct((1, 8, 8, 1), "float32")
    >>> models.narrower(
    ...     config, 0.5, example=example, image_shape=(8, 8, 1), num_classes=3
    ... )["width"]
    5
    """

    def macs(config: registry.Config) -> int:
        keys, _ = _parted(config)
        build = lambda: registry.build(__name__, keys, rngs=nnx.Rngs(0), **data)
        return costs.count_macs(evaluating(nnx.eval_shape(build)), example)

    allowed = budget * macs(config)
    model: Any = registry.find(__name__, config["name"])
    configs = list(model.narrowed(config))
    affordable = bisect.bisect_right(configs, allowed, key=macs)
    if not affordable:
        raise ValueError(f"no width of {config['name']} has a budget of {budget}.")
    return configs[affordable - 1]
