"""Load tests: requests arrive at random and a served model answers, in time or not.

Import the modules: `arrivals` (load profiles and arrival times), `sources` (who sends
the requests), `replay` (one load against one policy), `policies` (the controller beside
every single rung), `options` and `load_test` (a trained run, as `launch.py serve` tests
it). `arrivals`, `sources` and `options` import no jax.
"""
