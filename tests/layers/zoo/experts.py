"""Hosts with experts of their own as public models write them, without any gate."""

import jax
import jax.numpy as jnp
from flax import nnx

EXPERTS, CHOSEN, WIDTH, HIDDEN = 4, 2, 16, 12


def stacked(rngs, *shape):
    """A parameter whose first axis counts the experts."""
    return nnx.Param(jax.random.normal(rngs.params(), (EXPERTS, *shape)) / 4)


def scattered(scores, indices, values):
    """Weights of all experts, 0 where one was not chosen, by a scatter."""
    b, n, _ = scores.shape
    at = (jnp.arange(b)[:, None, None], jnp.arange(n)[:, None], indices)
    return jnp.zeros_like(scores).at[at].set(values)


class RoutedMoE(nnx.Module):
    """All experts for each token by einsums; the weights are scattered."""

    def __init__(self, rngs):
        self.gate = nnx.Linear(WIDTH, EXPERTS, use_bias=False, rngs=rngs)
        self.wi_0, self.wi_1 = (stacked(rngs, WIDTH, HIDDEN) for _ in range(2))
        self.wo = stacked(rngs, HIDDEN, WIDTH)

    def __call__(self, inputs):
        logits = self.gate(inputs)
        values, indices = jax.lax.top_k(logits, CHOSEN)
        weights = scattered(logits, indices, jax.nn.softmax(values, -1))
        gated = jnp.einsum("BSM,EMH -> BSEH", inputs, self.wi_0[...])
        hidden = jax.nn.silu(gated) * jnp.einsum(
            "BSM,EMH -> BSEH", inputs, self.wi_1[...]
        )
        each = jnp.einsum("BSEH,EHM -> BSEM", hidden, self.wo[...])
        return jnp.einsum("BSEM,BSE -> BSM", each, weights)


class WeighedInside(nnx.Module):
    """Hidden units are weighed, so that one product sums units and experts."""

    def __init__(self, rngs):
        self.router = nnx.Linear(WIDTH, EXPERTS, rngs=rngs)
        self.up, self.up_bias = stacked(rngs, WIDTH, HIDDEN), stacked(rngs, HIDDEN)
        self.down, self.down_bias = stacked(rngs, HIDDEN, WIDTH), stacked(rngs, WIDTH)

    def __call__(self, x):
        scores = jax.nn.softmax(self.router(x), -1)
        least = jax.lax.top_k(scores, CHOSEN)[0][..., -1:]
        weights = jnp.where(scores >= least, scores, 0)
        weights = weights / weights.sum(-1, keepdims=True)
        hidden = jnp.einsum("...d,edf->...ef", x, self.up[...]) + self.up_bias[...]
        hidden = jax.nn.gelu(hidden) * weights[..., None]
        output = jnp.einsum("...ef,efd->...d", hidden, self.down[...])
        return output + weights @ self.down_bias[...], scores


class GptOssRouter(nnx.Module):
    """Tokens of all examples in one row."""

    def __init__(self, rngs):
        self.linear = nnx.Linear(WIDTH, EXPERTS, rngs=rngs)

    def __call__(self, hidden_states):
        logits = self.linear(hidden_states.reshape(-1, WIDTH))
        values, indices = jax.lax.top_k(logits, CHOSEN)
        at = jnp.arange(len(logits))[:, None], indices
        scores = jnp.zeros_like(logits).at[at].set(jax.nn.softmax(values, -1))
        return scores, indices


class GptOssExperts(nnx.Module):
    """Packed gate and up projections, clipped; experts are the first axis."""

    def __init__(self, rngs):
        self.gate_up_proj = stacked(rngs, WIDTH, 2 * HIDDEN)
        self.gate_up_proj_bias = stacked(rngs, 2 * HIDDEN)
        self.down_proj = stacked(rngs, HIDDEN, WIDTH)
        self.down_proj_bias = stacked(rngs, WIDTH)

    def __call__(self, hidden_states, routing_weights):
        b, n, width = hidden_states.shape
        flat = hidden_states.reshape(-1, width)
        repeated = jnp.broadcast_to(flat[None], (EXPERTS, b * n, width))
        both = jnp.einsum("enh,ehd->end", repeated, self.gate_up_proj[...])
        both = both + self.gate_up_proj_bias[...][:, None]
        gate, up = jnp.minimum(both[..., ::2], 7.0), jnp.clip(both[..., 1::2], -7, 7)
        hidden = (up + 1) * gate * jax.nn.sigmoid(1.702 * gate)
        states = jnp.einsum("end,edh->enh", hidden, self.down_proj[...])
        states = states + self.down_proj_bias[...][:, None]
        states = states.reshape(EXPERTS, b, n, width)
        weights = routing_weights.T.reshape(EXPERTS, b, n)
        return jnp.sum(states * weights[..., None], axis=0)


class GptOssMLP(nnx.Module):
    """Returns the router's scores, too."""

    def __init__(self, rngs):
        self.router, self.experts = GptOssRouter(rngs), GptOssExperts(rngs)

    def __call__(self, hidden_states):
        scores, _ = self.router(hidden_states)
        return self.experts(hidden_states, scores), scores


class MoELayer(nnx.Module):
    """Stacked parameters, of which a Python loop takes one expert after the other."""

    def __init__(self, rngs):
        self.router = nnx.Linear(WIDTH, EXPERTS, use_bias=False, rngs=rngs)
        self.gate_proj, self.up_proj = (stacked(rngs, WIDTH, HIDDEN) for _ in range(2))
        self.down_proj = stacked(rngs, HIDDEN, WIDTH)

    def __call__(self, x):
        scores = self.router(x).astype(jnp.float32)
        weights, indices = jax.lax.top_k(jax.nn.softmax(scores, -1), CHOSEN)
        weights = weights / jnp.sum(weights, -1, keepdims=True)
        dispatch = jnp.swapaxes(jax.nn.one_hot(indices, EXPERTS), -1, -2)
        inputs = jnp.einsum("BTID,BTEK->BTED", x[:, :, None, :], dispatch)
        outputs = []
        for i in range(EXPERTS):
            gate = jnp.einsum("BTD,DF->BTF", inputs[:, :, i], self.gate_proj[...][i])
            up = jnp.einsum("BTD,DF->BTF", inputs[:, :, i], self.up_proj[...][i])
            hidden = jax.nn.silu(gate) * up
            outputs.append(jnp.einsum("BTF,FD->BTD", hidden, self.down_proj[...][i]))
        weights = jnp.tile(weights[:, :, None], (1, 1, EXPERTS, 1)) * dispatch
        return jnp.einsum("BTED,BTEK->BTD", jnp.stack(outputs, 2), weights)


class BlockSparseMLP(nnx.Module):
    """One expert of a list."""

    def __init__(self, rngs):
        linear = lambda i, o: nnx.Linear(i, o, use_bias=False, rngs=rngs)
        self.w1, self.w3 = linear(WIDTH, HIDDEN), linear(WIDTH, HIDDEN)
        self.w2 = linear(HIDDEN, WIDTH)

    def __call__(self, hidden_states):
        return self.w2(jax.nn.silu(self.w1(hidden_states)) * self.w3(hidden_states))


class SparseMoeBlock(nnx.Module):
    """A list of experts, each of which is added with its weight; skip inside."""

    def __init__(self, rngs):
        self.norm = nnx.RMSNorm(WIDTH, rngs=rngs)
        self.gate = nnx.Linear(WIDTH, EXPERTS, use_bias=False, rngs=rngs)
        self.experts = nnx.List([BlockSparseMLP(rngs) for _ in range(EXPERTS)])
        self.shared = BlockSparseMLP(rngs)

    def __call__(self, hidden_states):
        x = self.norm(hidden_states)
        weights, selected = jax.lax.top_k(jax.nn.softmax(self.gate(x), -1), CHOSEN)
        weights = weights / weights.sum(-1, keepdims=True)
        output = jnp.zeros_like(x)
        for i, expert in enumerate(self.experts):
            weight = jnp.where(selected == i, weights, 0).sum(-1)
            output = output + weight[..., None] * expert(x)
        return hidden_states + output + self.shared(x)


class VmappedExperts(nnx.Module):
    """Modules stacked by nnx.vmap, one call for all of them; every expert counts."""

    def __init__(self, rngs):
        make = nnx.vmap(BlockSparseMLP, in_axes=0, out_axes=0)
        self.experts = nnx.split_rngs(splits=EXPERTS)(make)(rngs)
        self.router = nnx.Linear(WIDTH, EXPERTS, rngs=rngs)

    def __call__(self, x):
        run = nnx.vmap(lambda expert, x: expert(x), in_axes=(0, None), out_axes=0)
        weights = jax.nn.softmax(self.router(x), -1)
        return jnp.einsum("ebtd,bte->btd", run(self.experts, x), weights)


class Capacity(nnx.Module):
    """Each expert takes the first tokens of an example, up to a capacity."""

    def __init__(self, rngs):
        self.router = nnx.Linear(WIDTH, EXPERTS, rngs=rngs)
        self.wi, self.wo = stacked(rngs, WIDTH, HIDDEN), stacked(rngs, HIDDEN, WIDTH)

    def __call__(self, x):
        probs = jax.nn.softmax(self.router(x), -1)
        chosen = jax.nn.one_hot(probs.argmax(-1), EXPERTS)
        place = ((jnp.cumsum(chosen, 1) - 1) * chosen).astype(jnp.int32)
        dispatch = jax.nn.one_hot(place, 3) * chosen[..., None]
        combine = dispatch * probs[..., None]
        inputs = jnp.einsum("btec,btd->ebcd", dispatch, x)
        hidden = jax.nn.relu(jnp.einsum("ebcd,edf->ebcf", inputs, self.wi[...]))
        outputs = jnp.einsum("ebcf,efd->ebcd", hidden, self.wo[...])
        return jnp.einsum("ebcd,btec->btd", outputs, combine)


class MoERagged(nnx.Module):
    """Tokens sorted by their experts."""

    def __init__(self, rngs):
        self.router_logits = nnx.Linear(WIDTH, EXPERTS, rngs=rngs)
        self.gating, self.linear = (
            stacked(rngs, WIDTH, HIDDEN),
            stacked(rngs, HIDDEN, WIDTH),
        )

    def __call__(self, x):
        probs = jax.nn.softmax(self.router_logits(x), -1)
        weights, choices = jax.lax.top_k(probs, CHOSEN)
        order = choices.ravel().argsort()
        rows = x.reshape(-1, WIDTH)[jnp.repeat(jnp.arange(x[..., 0].size), CHOSEN)]
        sizes = jax.nn.one_hot(choices, EXPERTS, dtype=jnp.int32).sum((0, 1, 2))
        hidden = jax.lax.ragged_dot(rows[order], self.gating[...], sizes)
        outputs = jax.lax.ragged_dot(jax.nn.gelu(hidden), self.linear[...], sizes)
        outputs = outputs[order.argsort()].reshape(*choices.shape, WIDTH)
        return jnp.einsum("blkd,blk->bld", outputs, weights)
