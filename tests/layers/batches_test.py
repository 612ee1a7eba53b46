"""Batches of no examples, and of a size that is not known when a program is made."""

import jax
import pytest
from flax import nnx
from jax import export

from dynsparse import costs, gates
from tests.layers.small_layers import LAYERS, build, compact_view, inputs, output
from tests.sampled import sampled

USUAL = ("neurons", "tokens", "width")
# Fixed counts of each example: the one compact execution without sizes of its own.
GATHERED = ("bypass", "tokens", "features", "width")


def views(layer):
    gate = "soft_topk" if "soft_topk" in LAYERS[layer].gates else "gumbel_sigmoid"
    module = build(layer, gate)
    compact = gates.evaluating(module, execution="compact")
    return gates.evaluating(module), compact, compact_view(module, gate)


def program(module):
    graphdef, state = nnx.split(module)
    run = lambda state, x: output(nnx.merge(graphdef, state, copy=True)(x))
    return run, state


@pytest.mark.parametrize("layer", sampled(LAYERS, USUAL))
def test_a_batch_of_none_has_the_shape_and_type_of_others(layer):
    x = inputs(layer, 2)
    some = jax.eval_shape(*program(views(layer)[0]), x)
    for view in views(layer):
        none = jax.eval_shape(*program(view), x[:0])
        assert (none.shape, none.dtype) == ((0, *some.shape[1:]), some.dtype)


def test_a_bill_of_no_examples_is_refused():
    with pytest.raises(ValueError, match="at least one example, got an empty batch"):
        costs.bill(build("neurons", "soft_topk"), inputs("neurons", 2)[:0])


@pytest.mark.parametrize("layer", sampled(LAYERS, USUAL))
def test_a_symbolic_batch_is_exported_or_refused_in_words(layer, as_users_call):
    (batch,) = export.symbolic_shape("batch")
    x = inputs(layer, 2)
    x = jax.ShapeDtypeStruct((batch, *x.shape[1:]), x.dtype)
    masked, _, compact = views(layer)
    exported = lambda view: export.export(jax.jit(program(view)[0]))(
        jax.eval_shape(lambda: program(view)[1]), x
    )
    assert exported(masked).out_avals[0].shape[0] == batch
    if layer in GATHERED:
        assert exported(compact).out_avals[0].shape[0] == batch
        return
    with pytest.raises(ValueError, match=r"known sizes, got \(batch, .*mask"):
        exported(compact)
