"""Names of `jax.named_scope`s by which bills tell one part of the work from another."""

# Hosts may have scopes of their own, called "gate" for one: this name is ours alone.
GATE_SCOPE = "dynsparse.gate"
