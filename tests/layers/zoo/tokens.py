"""Hosts of tokens as public models write them, which know nothing of gates."""

import jax
import jax.numpy as jnp
from flax import nnx

WIDTH = 16


def rotary(x, positions):
    """Rotates halves of [batch, n, heads, head] by places [batch, n]."""
    half = x.shape[-1] // 2
    angle = positions[..., None] / 100.0 ** (jnp.arange(half) / half)
    sin, cos = jnp.sin(angle)[:, :, None], jnp.cos(angle)[:, :, None]
    a, b = x[..., :half], x[..., half:]
    return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], -1)


class GroupedAttention(nnx.Module):
    """Four query heads share two key-value heads; returns its cache."""

    def __init__(self, rngs):
        linear = lambda i, o: nnx.Linear(i, o, use_bias=False, rngs=rngs)
        self.q_proj, self.k_proj = linear(WIDTH, 32), linear(WIDTH, 16)
        self.v_proj, self.o_proj = linear(WIDTH, 16), linear(32, WIDTH)
        self.q_norm, self.k_norm = nnx.RMSNorm(8, rngs=rngs), nnx.RMSNorm(8, rngs=rngs)

    def __call__(self, x, positions, mask, cache=None):
        b, n, _ = x.shape
        q = rotary(self.q_norm(self.q_proj(x).reshape(b, n, -1, 8)), positions)
        k = rotary(self.k_norm(self.k_proj(x).reshape(b, n, -1, 8)), positions)
        v = self.v_proj(x).reshape(b, n, -1, 8)
        if cache is not None:
            k = jnp.concatenate([cache["k"], k], 1)
            v = jnp.concatenate([cache["v"], v], 1)
        q = q.reshape(b, n, k.shape[2], -1, 8)
        logits = jnp.einsum("bqkgh,bskh->bkgqs", q, k) * 8**-0.5
        weights = jax.nn.softmax(jnp.where(mask, logits, -1e30), -1)
        y = jnp.einsum("bkgqs,bskh->bqkgh", weights, v).reshape(b, n, -1)
        return self.o_proj(y), dict(k=k, v=v)


class SwiGlu(nnx.Module):
    """The MLP of decoders of today."""

    def __init__(self, rngs):
        linear = lambda i, o: nnx.Linear(i, o, use_bias=False, rngs=rngs)
        self.gate_proj, self.up_proj = linear(WIDTH, 48), linear(WIDTH, 48)
        self.down_proj = linear(48, WIDTH)

    def __call__(self, x):
        return self.down_proj(jax.nn.silu(self.gate_proj(x)) * self.up_proj(x))


class LlamaBlock(nnx.Module):
    """A decoder block with a cache."""

    def __init__(self, rngs):
        self.attn, self.mlp = GroupedAttention(rngs), SwiGlu(rngs)
        self.input_norm = nnx.RMSNorm(WIDTH, rngs=rngs)
        self.post_norm = nnx.RMSNorm(WIDTH, rngs=rngs)

    def __call__(self, x, positions, *, mask, cache=None):
        y, cache = self.attn(self.input_norm(x), positions, mask, cache)
        x = x + y
        return x + self.mlp(self.post_norm(x)), cache


class VitBlock(nnx.Module):
    """An encoder block with an inline MLP and streams of its own."""

    def __init__(self, rngs):
        self.norm1, self.norm2 = (nnx.LayerNorm(WIDTH, rngs=rngs) for _ in range(2))
        self.attn = nnx.MultiHeadAttention(4, WIDTH, decode=False, rngs=rngs)
        self.linear1 = nnx.Linear(WIDTH, 32, rngs=rngs)
        self.linear2 = nnx.Linear(32, WIDTH, rngs=rngs)
        self.dropout = nnx.Dropout(0.1, rngs=rngs)

    def __call__(self, x, *, rngs=None):
        x = x + self.attn(self.norm1(x), deterministic=True)
        y = self.dropout(jax.nn.gelu(self.linear1(self.norm2(x))), rngs=rngs)
        return x + self.linear2(y)


class CrossBlock(nnx.Module):
    """A decoder block that reads an encoder."""

    def __init__(self, rngs):
        self.norms = nnx.List([nnx.LayerNorm(WIDTH, rngs=rngs) for _ in range(3)])
        self.own = nnx.MultiHeadAttention(2, WIDTH, decode=False, rngs=rngs)
        self.cross = nnx.MultiHeadAttention(2, WIDTH, decode=False, rngs=rngs)
        self.fc1 = nnx.Linear(WIDTH, 32, rngs=rngs)
        self.fc2 = nnx.Linear(32, WIDTH, rngs=rngs)

    def __call__(self, x, encoded, mask=None):
        y = self.norms[0](x)
        x = x + self.own(y, mask=mask)
        x = x + self.cross(self.norms[1](x), encoded)
        return x + self.fc2(jax.nn.gelu(self.fc1(self.norms[2](x))))


class Mamba(nnx.Module):
    """A state space with one packed projection; returns its state."""

    def __init__(self, rngs):
        self.norm = nnx.RMSNorm(WIDTH, rngs=rngs)
        self.in_proj = nnx.Linear(WIDTH, 64, rngs=rngs)
        self.out_proj = nnx.Linear(32, WIDTH, rngs=rngs)
        self.decay = nnx.Param(jnp.linspace(0.5, 0.99, 32))

    def __call__(self, x, state=None):
        u, z = jnp.split(self.in_proj(self.norm(x)), 2, -1)
        state = jnp.zeros((len(x), 32)) if state is None else state
        step = lambda s, v: ((s := s * self.decay[...] + v), s)
        state, h = jax.lax.scan(step, state, u.swapaxes(0, 1))
        return x + self.out_proj(h.swapaxes(0, 1) * jax.nn.silu(z)), state


class DitBlock(nnx.Module):
    """Attention and MLP that a condition scales, shifts and gates."""

    def __init__(self, rngs):
        self.norm = nnx.LayerNorm(WIDTH, use_bias=False, use_scale=False, rngs=rngs)
        self.modulation = nnx.Linear(WIDTH, 6 * WIDTH, rngs=rngs)
        self.qkv = nnx.Linear(WIDTH, 3 * WIDTH, rngs=rngs)
        self.out = nnx.Linear(WIDTH, WIDTH, rngs=rngs)
        self.fc1 = nnx.Linear(WIDTH, 32, rngs=rngs)
        self.fc2 = nnx.Linear(32, WIDTH, rngs=rngs)

    def __call__(self, x, c):
        parts = jnp.split(self.modulation(jax.nn.silu(c))[:, None], 6, -1)
        shift, scale, gate, shift2, scale2, gate2 = parts
        y = self.norm(x) * (1 + scale) + shift
        q, k, v = self.qkv(y).reshape(*x.shape[:2], 3, 4, 4).transpose(2, 0, 3, 1, 4)
        y = jax.nn.softmax(q @ k.swapaxes(-1, -2) / 2) @ v
        x = x + gate * self.out(y.transpose(0, 2, 1, 3).reshape(x.shape))
        y = self.norm(x) * (1 + scale2) + shift2
        return x + gate2 * self.fc2(jax.nn.gelu(self.fc1(y)))


class Adapted(nnx.Module):
    """An MLP of low-rank adapters."""

    def __init__(self, rngs):
        lora = lambda i, o: nnx.LoRALinear(i, o, lora_rank=2, rngs=rngs)
        self.fc1, self.fc2 = lora(WIDTH, 32), lora(32, WIDTH)

    def __call__(self, x):
        return self.fc2(jax.nn.gelu(self.fc1(x)))


class Rematerialised(nnx.Module):
    """A block that is computed again in the backward pass."""

    def __init__(self, rngs):
        self.mlp = SwiGlu(rngs)

    def __call__(self, x):
        return x + nnx.remat(lambda mlp, x: mlp(x))(self.mlp, x)
