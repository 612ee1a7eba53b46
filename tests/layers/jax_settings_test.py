"""Gates and layers under settings of JAX that change types, and tabulated."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from dynsparse import costs, gates, layers
from tests.gates.rows import GATES, N, by_name
from tests.layers.small_layers import LAYERS, build, compact_view, inputs, output
from tests.sampled import sampled, unless


@pytest.fixture
def strict():
    """Wide defaults and no promotion: what mixes types is an error."""
    with jax.numpy_dtype_promotion("strict"), jax.enable_x64(True):
        yield


def traced(module, *arguments):
    """Shapes and types of what a module returns."""
    graphdef, state = nnx.split(module)
    run = lambda state, *x: nnx.merge(graphdef, state, copy=True)(*x)
    return jax.eval_shape(run, state, *arguments)


# In evaluation most gates do what these do.
KINDS = ("ema_threshold", "hard_concrete", "nucleus", "random_topk", "soft_topk")
BOTH = [
    pytest.param(row, evaluation, marks=unless(not evaluation or by_name(row) in KINDS))
    for row in GATES
    for evaluation in (False, True)
]


@pytest.mark.parametrize(
    ("row", "evaluation"),
    BOTH,
    ids=lambda value: "TE"[value] if isinstance(value, bool) else by_name(value),
)
def test_gates_keep_the_type_of_their_scores(row, evaluation, strict):
    gate = gates.from_config(row.spec, rngs=nnx.Rngs(0, gate=1))
    gate = nnx.view(gate, deterministic=evaluation, raise_if_not_found=False)
    for dtype in (jnp.float32, jnp.bfloat16):
        decision = traced(gate, jax.ShapeDtypeStruct((3, N), dtype))
        assert {part.dtype for part in decision} == {jnp.dtype(dtype)}


USUAL = ("channels", "heads", "neurons", "positions", "tokens")


@pytest.mark.parametrize("layer", sampled(LAYERS, USUAL))
def test_layers_of_float32_stay_so(layer, strict):
    gate = "soft_topk" if "soft_topk" in LAYERS[layer].gates else "gumbel_sigmoid"
    module, x = build(layer, gate), inputs(layer, 4)
    compact = gates.evaluating(module, execution="compact")
    for view in (module, compact, compact_view(module, gate)):
        assert output(traced(view, x)).dtype == jnp.float32
    one = jax.ShapeDtypeStruct((1, *x.shape[1:]), x.dtype)
    assert costs.Prices(module, one).dense > 0


@pytest.mark.parametrize("layer", ["neurons", "positions"])
def test_layers_are_tabulated(layer, as_users_call):
    module = compact_view(build(layer, "soft_topk"), "soft_topk")
    assert "SoftTopk" in nnx.tabulate(module, inputs(layer, 2))


@pytest.mark.parametrize("precision", [None, "high"])
def test_a_gated_host_multiplies_in_the_precision_that_is_set(precision):
    """Not in that of its proof, which is the highest."""
    rule = dict(granularity="width", gate=dict(name="hard_topk", density=0.5))
    up, down = (nnx.Linear(4, 4, rngs=nnx.Rngs(i)) for i in (0, 1))
    plain, x = nnx.Sequential(up, jax.nn.relu, down), jnp.ones((2, 3, 4))
    rules = {"": rule | dict(num_slices=2)}
    model = layers.sparsify(plain, rules, x, rngs=nnx.Rngs(2, gate=3))
    found = set()
    with jax.default_matmul_precision(precision):
        for part in (plain, gates.evaluating(model, execution="compact")):
            graphdef, state = nnx.split(part)
            run = lambda state, x, kind=graphdef: nnx.merge(kind, state)(x)
            steps = jax.make_jaxpr(run)(state, x).jaxpr.eqns
            found |= {
                s.params.get("precision") for s in steps if "dot" in str(s.primitive)
            }
    assert len(found) == 1
