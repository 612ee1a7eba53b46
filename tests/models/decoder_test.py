"""The decoder: what it answers token by token is what it answers at once."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dynsparse import gates, layers, models
from dynsparse.gates import GateRecord, evaluating, records
from dynsparse.models.decoder import Decoder, generate
from tests.sampled import sampled, unless

SOFT = dict(name="soft_topk", density=0.5, temperature=1.0, family="logistic")
GUMBEL = dict(name="gumbel_sigmoid", temperature=1.0)
TINY = dict(name="decoder", width=8, depth=2, num_heads=2, mlp_width=16)
WORDS, LENGTH = 11, 9
TEXT = jax.random.randint(jax.random.key(0), (3, LENGTH), 0, WORDS)


@functools.cache
def compiled(method):
    """Methods of the model, which is passed split."""
    return jax.jit(
        lambda graphdef, state, *args: method(nnx.merge(graphdef, state), *args),
        static_argnums=0,
    )


def whole_sequence(model, text):
    """Logits and masks of all tokens at once."""
    logits, captured = nnx.capture(model, GateRecord)(text)
    return logits, [record.mask for record in records(captured).values()]


def call(method, model, *args):
    return compiled(method)(*nnx.split(model), *args)


def build(granularity, gate):
    model = models.from_config(
        TINY | dict(granularity=granularity),
        gate=gate,
        scorer=dict(name="mlp", hidden=4),
        vocabulary=WORDS,
        length=LENGTH,
        rngs=nnx.Rngs(0, gate=1),
    )
    return nnx.view(model, capacity_steps=2)  # compiles faster


@functools.cache
def twin():
    """A top-k model whose gates were replaced by their causal twins."""
    return layers.causal_twins(build("bypass", SOFT), [TEXT, TEXT])


MODELS = dict(
    bypass=lambda: build("bypass", GUMBEL),
    twin=twin,
    neurons=lambda: build("neurons", SOFT),
    experts=lambda: build("experts", GUMBEL),
    width=lambda: build("width", SOFT),
)


@pytest.mark.parametrize(
    ("name", "execution"),
    [
        pytest.param(name, execution, marks=unless(name in ("bypass", "twin")))
        for name in MODELS
        for execution in ("masked", "compact")
    ],
)
def test_decoding_token_by_token_is_the_whole_sequence(name, execution):
    model = MODELS[name]()
    whole, masks = call(whole_sequence, evaluating(model), TEXT)
    if name in ("bypass", "twin"):  # some tokens are skipped and some are not
        assert 0 < np.mean(masks) < 1
    view, caches = evaluating(model, execution=execution), model.empty_caches(len(TEXT))
    for place in range(LENGTH):
        logits, caches = call(Decoder.step, view, TEXT[:, place], caches, place)
        np.testing.assert_allclose(logits, whole[:, place], atol=1e-5)
    if name == "twin":  # closed tokens are not remembered
        for cache, mask in zip(caches, masks, strict=True):
            np.testing.assert_array_equal(cache.opened, mask)


@pytest.mark.parametrize("name", ["bypass", "neurons"])
def test_no_token_sees_a_later_one(name):
    model = evaluating(MODELS[name]())
    changed = TEXT.at[:, 5:].set((TEXT[:, 5:] + 1) % WORDS)
    before, _ = call(whole_sequence, model, TEXT)
    after, _ = call(whole_sequence, model, changed)
    np.testing.assert_allclose(before[:, :5], after[:, :5], atol=1e-6)
    assert (before[:, 5:] != after[:, 5:]).any()


def test_twins_open_as_many_of_the_same_sequences_as_top_k():
    _, masks = call(whole_sequence, nnx.view(build("bypass", SOFT)), TEXT)
    _, twins = call(whole_sequence, evaluating(twin()), TEXT)
    for mask, other in zip(masks, twins, strict=True):
        assert mask.mean() == pytest.approx(4 / 9)  # half of 9, rounded to even
        assert other.mean() == pytest.approx(0.5, abs=0.2)
    first = np.asarray(twins[0])  # whose inputs are the same: half of all tokens
    assert first.sum() == round(0.5 * first.size)


def test_other_thresholds_stay_where_they_are():
    model = layers.causal_twins(build("bypass", SOFT), [TEXT])
    first, second = (m for _, m in nnx.iter_modules(model) if hasattr(m, "gate"))
    second.gate = gates.from_config(SOFT, rngs=nnx.Rngs(0))
    before = float(first.gate.threshold[...])
    layers.causal_twins(model, [(TEXT + 1) % WORDS])
    assert float(first.gate.threshold[...]) == before


def test_twins_need_a_gate_to_replace():
    with pytest.raises(ValueError, match="no top-k gate over tokens"):
        layers.causal_twins(build("neurons", SOFT), [TEXT])


def test_twins_need_something_to_see():
    with pytest.raises(ValueError, match="at least one batch, got none"):
        layers.causal_twins(build("bypass", SOFT), [])


ATTENTION = layers.Attention(width=8, num_heads=2, causal=True, rngs=nnx.Rngs(0))


EXAMPLE = jnp.ones((2, 4, 8))


class Before(nnx.Module):
    """A causal attention, and what is gated after it."""

    def __init__(self, host, **rule):
        self.attention, self.gated = ATTENTION, host
        scorer = dict(name="mlp", hidden=4)
        rules = {"gated": dict(scorer=scorer, **rule)}
        layers.sparsify(self, rules, EXAMPLE, rngs=nnx.Rngs(0, gate=1))

    def __call__(self, x):
        return self.gated(self.attention(x))


def transformer():
    sizes = dict(width=8, num_heads=2, mlp_width=8)
    return layers.TransformerBlock(**sizes, causal=True, rngs=nnx.Rngs(0))


def experts():
    sizes = dict(width=8, hidden=4, num_experts=2)
    return layers.Experts(**sizes, rngs=nnx.Rngs(0))


SPARSEMAX = dict(name="sparsemax", temperature=1.0)
LOOKING_AHEAD = dict(
    bypass=(lambda: build("bypass", SOFT), "SoftTopk compares a token with later"),
    competing=(lambda: build("bypass", SPARSEMAX), "Sparsemax compares a token"),
    tokens=(
        lambda: Before(
            transformer(), granularity="tokens", width=8, num_tokens=6, gate=SOFT
        ),
        "SoftTopk compares a token",
    ),
    beside=(
        lambda: Before(experts(), granularity="expert_choice", gate=SOFT),
        "SoftTopk compares a token",
    ),
    blocks=(
        lambda: Before(transformer(), granularity="blocks", width=8, gate=GUMBEL),
        "decides on all tokens of an example at once",
    ),
)


@pytest.mark.parametrize("execution", sampled(["masked", "compact"], ["compact"]))
@pytest.mark.parametrize("name", LOOKING_AHEAD)
def test_a_causal_model_is_not_evaluated_with_what_looks_ahead(name, execution):
    make, words = LOOKING_AHEAD[name]
    model = make()
    with pytest.raises(ValueError, match=f"{words}.*The model is causal"):
        evaluating(model, execution=execution)
    evaluating(model, execution="dense")  # decides nothing


def test_a_view_that_is_asked_without_evaluating_is_refused_too():
    view = nnx.view(build("bypass", SOFT), deterministic=True)
    with pytest.raises(ValueError, match="causal_twins"):
        jax.eval_shape(lambda tokens: view(tokens), TEXT)


def evenly_spaced():
    return layers.make_scorer(
        dict(name="evenly_spaced"),
        layers.BypassedTokens,
        width=8,
        num_units=LENGTH,
        rngs=nnx.Rngs(0),
    )


@pytest.mark.parametrize("density", [0.5, 1.0])
def test_what_is_chosen_by_places_or_all_open_may_be_evaluated(density):
    model = build("bypass", SOFT)
    if density < 1:
        for layer in (m for _, m in nnx.iter_modules(model) if hasattr(m, "gate")):
            layer.scorer = evenly_spaced()
    view = evaluating(model, density=density)
    changed = TEXT.at[:, 5:].set((TEXT[:, 5:] + 1) % WORDS)
    before, _ = call(whole_sequence, view, TEXT)
    after, _ = call(whole_sequence, view, changed)
    np.testing.assert_allclose(before[:, :5], after[:, :5], atol=1e-6)


def test_decoding_with_what_looks_ahead_is_refused_in_words():
    model = build("bypass", SOFT)
    with pytest.raises(ValueError, match="SoftTopk compares a token with later ones"):
        model.step(TEXT[:, 0], model.empty_caches(3), 0)


def test_evenly_spaced_scores_are_refused_while_decoding():
    model = evaluating(build("bypass", GUMBEL))
    layer = next(m for _, m in nnx.iter_modules(model) if hasattr(m, "gate"))
    layer.scorer = evenly_spaced()
    with pytest.raises(ValueError, match="evenly_spaced scores the places"):
        model.step(TEXT[:, 0], model.empty_caches(3), 0)


def test_random_gates_draw_anew_at_each_place():
    masks = []

    class Watched(layers.BypassedTokens):
        def decide(self, features, mask=None):
            decision = super().decide(features, mask)
            jax.debug.callback(lambda x: masks.append(x), decision.mask)
            return decision

    model = build("bypass", dict(name="random_bernoulli", density=0.5))
    for _, module in nnx.iter_modules(model):
        if isinstance(module, layers.BypassedTokens):
            module.__class__ = Watched
            module.scorer = evenly_spaced()  # as its method
    jax.block_until_ready(generate(evaluating(model), TEXT[:, :2], num_tokens=6))
    jax.effects_barrier()
    assert len(np.unique(np.stack(masks), axis=0)) > 2


def test_generation_takes_the_likeliest_of_the_whole_sequence():
    model = evaluating(twin(), execution="compact")
    text = TEXT[:, :3]
    made = generate(model, text, num_tokens=LENGTH - 3)
    text = jnp.concatenate([text, made], 1)
    logits, _ = call(whole_sequence, model, text)
    np.testing.assert_array_equal(made, logits[:, 2:-1].argmax(-1))


def test_generation_compiles_once(monkeypatch):
    traces, step = [], Decoder.step
    noted = lambda model, *args: traces.append(args) or step(model, *args)
    monkeypatch.setattr(Decoder, "step", noted)
    model = evaluating(build("width", SOFT))
    generate(model, TEXT[:1, :2], num_tokens=3)
    first = len(traces)
    generate(model, TEXT[1:2, 1:3], num_tokens=3)
    assert len(traces) == first > 0


def test_samples_follow_the_key():
    model = evaluating(build("width", SOFT))
    draw = lambda seed: generate(
        model, TEXT[:, :2], num_tokens=6, temperature=5.0, key=jax.random.key(seed)
    )
    np.testing.assert_array_equal(draw(0), draw(0))
    assert (draw(0) != draw(1)).any()


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (
            lambda m: generate(m, TEXT, num_tokens=5),
            "a length of 9, got 9 and 5",
        ),
        (
            lambda m: generate(m, TEXT[:, :1], num_tokens=2, temperature=1.0),
            "samples, which needs a key",
        ),
        (lambda m: m(jnp.zeros((1, 10), jnp.int32)), "at most 9 tokens, got 10"),
    ],
)
def test_mistakes_are_named(mistake, message):
    with pytest.raises(ValueError, match=message):
        mistake(evaluating(build("width", SOFT)))
