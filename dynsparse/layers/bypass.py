"""Bypassed tokens: a token that is closed skips the host and goes on."""

from jaxtyping import Array, Float

from dynsparse.layers.open_tokens import OpenTokens


class BypassedTokens(OpenTokens):
    """Runs its host on the tokens that the gate opens; the others pass unchanged.

    Mixture-of-Depths (Raposo et al., 2024, arXiv:2404.02258). A gate whose tokens
    compete looks at later tokens: for decoding use its twin, from `gates.calibrate`.
    """

    def __call__(
        self, tokens: Float[Array, "batch n width"]
    ) -> Float[Array, "batch n width"]:
        """Returns the host's output at open tokens, `tokens` at the others."""
        return self.run(tokens, tokens)[0]
