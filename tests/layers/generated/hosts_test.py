"""Random hosts are gated as they stand, or refused in words.

A host makes sense for a granularity by how it was drawn, whatever the trace finds:

- neurons, heads, channels and width for each part with hidden units, heads or channels
  that no norm reads together and, but for width, no sum over them decides about; for
  neurons, the rows of the part must be those of the input;
- blocks for all of them: none mixes examples, each keeps the shape of its input;
- bypass where tokens meet in a softmax alone and each stays in its place, and where the
  host returns one array.

What is left is tried as well: it must be refused in words, or be right. What is right
is said in `generated_checks`, without the trace or its proof.
"""

import collections
import sys

import jax
import pytest

from tests.layers.generated.checks import check, sparse
from tests.layers.generated.hosts import generated

UNITS, ROWS = ("neurons", "heads", "channels", "width"), ("blocks", "bypass")
FEW, MANY = range(20), range(200)


@pytest.fixture(autouse=True)
def as_public_models_run():
    """Settings of JAX that others write their models for."""
    with jax.numpy_rank_promotion("allow"):
        yield


def tried(found, kind):
    """Gates a host: the plain one and the gated one, or the reason in words."""
    try:
        return sparse(found, kind)
    except ValueError as error:
        text = str(error)
        assert "\n" not in text
        start, _, reason = text.partition("by the rule 'part': ")
        assert start == "sparsify: part, "
        assert reason
        assert "Error: " not in reason  # of Python or of JAX, which says nothing
        return reason


def checked(found, kind, *, slopes):
    answer = tried(found, kind)
    if not isinstance(answer, str):
        check(found, kind, *answer, slopes=slopes)


@pytest.mark.parametrize("seed", FEW)
def test_a_random_host_is_gated_rightly_or_refused_in_words(seed):
    found = generated(seed)
    kinds = [*found.fits, *found.others]
    checked(found, kinds[seed % len(kinds)], slopes=False)


@pytest.mark.full
@pytest.mark.parametrize("seed", MANY)
def test_each_granularity_of_a_random_host_is_right_or_refused(seed):
    found = generated(seed)
    for kind in (*found.fits, *found.others):
        checked(found, kind, slopes=True)


@pytest.mark.full
def test_most_random_hosts_are_gated(capsys):
    reasons: dict[str, collections.Counter] = {}
    for seed in MANY:
        found = generated(seed)
        for kind in found.fits:
            answer = tried(found, kind)
            reason = answer if isinstance(answer, str) else ""
            reasons.setdefault(kind, collections.Counter())[reason] += 1
    total = lambda kinds: sum((reasons[kind] for kind in kinds), collections.Counter())
    lines = [
        f"{kind}, of {counts.total()}: {count} {reason or 'accepted'}"
        for kind, counts in reasons.items()
        for reason, count in counts.most_common()
    ]
    with capsys.disabled():
        sys.stdout.write("\n".join(["", *lines, ""]))
    units, rows = total(UNITS), total(ROWS)
    assert units[""] >= 0.85 * units.total()
    assert rows[""] >= 0.75 * rows.total()
