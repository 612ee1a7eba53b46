"""What a gated host must do, said without the trace or its proof."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import dynsparse
from dynsparse import costs
from dynsparse.gates import evaluating
from tests.layers.generated.hosts import BATCH, reader_of
from tests.layers.zoo.zoo import Net

TOPK = dict(name="soft_topk", density=0.5, temperature=1.0, family="logistic")
GUMBEL = dict(name="gumbel_sigmoid", temperature=1.0)
RULES = dict(
    neurons=dict(num_blocks=4),
    width=dict(num_slices=4),
    channels=dict(num_groups=4),
    heads={},
    blocks={},
    bypass={},
)


def sparse(found, kind):
    """Gates a host by a granularity; returns a plain copy beside it."""
    rule = dict(granularity=kind, gate=GUMBEL if kind == "blocks" else TOPK)
    rule |= {} if kind == "width" else dict(scorer=dict(name="linear"))
    if len(found.host.parts) > 1 and kind in ("neurons", "width", "channels", "heads"):
        rule["units"] = reader_of(found, kind)
    model = Net(nnx.clone(found.host))
    plain = evaluating(nnx.clone(model))
    rules = {"part": {**rule, **RULES[kind]}}
    model = dynsparse.sparsify(model, rules, found.call, rngs=nnx.Rngs(1, gate=2))
    if kind == "blocks":  # some examples are open, some closed
        layer, x = model.part, found.call.args[0]
        layer.shift[...] = -jnp.median(layer.score(x))
    return plain, model


def leaves(tree):
    return [x for x in jax.tree.leaves(tree) if hasattr(x, "dtype")]


def check(found, kind, plain, model, *, slopes):
    """Checks a host that was accepted: answers, gradients and the bill.

    The gradients of the host with all open are checked where `slopes` asks for them.
    """
    graphdef, state = nnx.split((plain, model))

    def answers(state, call):
        plain, model = nnx.merge(graphdef, state)
        opened = call(plain)
        plain_slope = slope(plain, call) if slopes else None
        few = {} if kind == "blocks" else dict(density=0.5)
        compact = call(evaluating(model, execution="compact", **few))
        dense = nnx.view(evaluating(model), execution="dense")
        masked = evaluating(model)
        masked, captured = nnx.capture(masked, dynsparse.GateRecord)(
            *call.args, **call.kwargs
        )
        (record,) = dynsparse.records(captured).values()
        wanted = closed(found, kind, plain, call, record.mask)
        return (
            dict(
                dense=(call(dense), opened),
                compact=(compact, masked),
                closed=(masked, wanted),
                slopes=(slope(dense, call) if slopes else None, plain_slope),
            ),
            scorer_slope(model, call),
            record.mask,
            opened,
        )

    pairs, learned, mask, opened = jax.jit(answers)(state, found.call)
    assert 0 < mask.sum() < mask.size, f"nothing decided: {mask}"
    coarse = "half" in found.told or "bfloat16" in found.told
    error = 0.05 if coarse else 2e-4
    for name, (got, want) in pairs.items():
        got, want = leaves(got), leaves(want)
        assert len(got) == len(want), name
        for one, other in zip(got, want, strict=True):
            one, other = (np.asarray(x, np.float32) for x in (one, other))
            scale = np.abs(other).max(initial=1e-3)
            np.testing.assert_allclose(
                one / scale, other / scale, atol=error, err_msg=name
            )
    masked = pairs["closed"][0]
    gaps = zip(leaves(masked), leaves(opened), strict=True)
    assert max(np.abs(np.asarray(a - b, np.float32)).max() for a, b in gaps) > 1e-4
    if kind != "width":
        assert all(jnp.isfinite(x).all() for x in learned), "slope of the scorer"
        assert any((x != 0).any() for x in learned), "the scorer does not learn"
    bill = costs.bill(model, found.call)
    assert bill.dense == costs.count_macs(plain, found.call.one_example())


def total(results):
    weigh = lambda y: jnp.cos(jnp.arange(y.size, dtype=jnp.float32)).reshape(y.shape)
    return sum((y.astype(jnp.float32) * weigh(y)).sum() for y in leaves(results))


def slope(model, call):
    """Gradients of the host, with all open."""
    graphdef, params, rest = nnx.split(model, nnx.All(nnx.Param, _host), ...)
    loss = lambda params: total(call(nnx.merge(graphdef, params, rest, copy=True)))
    return leaves(jax.grad(loss)(params))


def _host(path, _):
    return not {"scorer", "gate"} & set(path)


def scorer_slope(model, call):
    """Gradients of the scorer in training."""
    graphdef, params, rest = nnx.split(
        model, nnx.All(nnx.Param, lambda path, _: "scorer" in path), ...
    )
    loss = lambda params: total(call(nnx.merge(graphdef, params, rest, copy=True)))
    return leaves(jax.grad(loss)(params))


def closed(found, kind, plain, call, mask):
    """What the plain host gives where some of its units or rows are closed."""
    host, x = plain.part, call.args[0]
    if kind == "blocks":
        return blend(found, call(plain), x, mask[:, 0])
    if kind == "bypass":
        return some_tokens(found, host, call, mask)
    part = host.parts[found.fits.get(kind, found.others.get(kind))]
    part.weights = nnx.Variable(jnp.repeat(mask, part.units // mask.shape[-1], -1))
    return call(plain)


def blend(found, results, x, mask):
    """Closed rows are the input where the skip is inside of the host, else zeros."""
    skips = found.host.skipped
    stream = next(y for y in leaves(results) if y.shape == x.shape)

    def mixed(y):
        opened = mask.reshape(*mask.shape, *[1] * (y.ndim - mask.ndim)) > 0
        return jnp.where(opened, y, x if y is stream and skips else jnp.zeros_like(y))

    return jax.tree.map(mixed, results)


def some_tokens(found, host, call, mask):
    """Runs the host on the open tokens of each example, in their places."""
    x, k = call.args[0], round(mask.shape[1] * 0.5)
    order = jnp.sort(jnp.argsort(-mask, axis=1, stable=True)[:, :k], axis=1)
    rows = jnp.arange(BATCH)[:, None]
    places = order
    if host.before == "registers":  # two tokens before the others
        places = jnp.pad(order + 2, ((0, 0), (2, 0))).at[:, 1].set(1)
    for part in host.parts:
        part.places = nnx.Variable(places)
    kwargs = dict(call.kwargs)
    if kwargs.get("mask") is not None:
        kwargs["mask"] = kwargs["mask"][
            rows[..., None], order[:, :, None], order[:, None]
        ]
    results = host(x[rows, order], *call.args[1:], **kwargs)
    spread = lambda y: (
        jnp.zeros((BATCH, x.shape[1], *y.shape[2:])).at[rows, order].set(y)
    )
    return blend(found, jax.tree.map(spread, results), x, mask)
