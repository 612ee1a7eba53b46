"""Float64 references of the threshold family, independent of the library."""

import numpy as np
from scipy.special import expit, log_expit, logsumexp


def threshold(scores, k, temperature):
    """The logistic threshold of one row, by bisection on tails in log space."""
    x = np.asarray(scores, np.float64)
    n = len(x)
    logit = np.log(k) - np.log(n - k)
    low, high = x.min() - temperature * logit, x.max() - temperature * logit
    for _ in range(200):
        middle = low + (high - low) / 2
        if _too_many(x, middle, k, temperature):
            low = middle
        else:
            high = middle
    return low + (high - low) / 2


def _too_many(x, middle, k, temperature):
    u = (x - middle) / temperature
    above, below = u[u > 0], u[u <= 0]
    if len(above) == k:  # a float64 sum is flat here too
        add = logsumexp(log_expit(below)) if len(below) else -np.inf
        lack = logsumexp(log_expit(-above)) if len(above) else -np.inf
        return add > lack
    return len(above) - k + expit(below).sum() - expit(-above).sum() > 0


def soft_topk(scores, k, temperature):
    """Mask, weights d / sum(d) and slopes d of one row."""
    x = np.asarray(scores, np.float64)
    n = len(x)
    if k in (0, n):
        end = x if k == 0 else -x
        return np.full(n, k / n), _softmax(end / temperature), np.zeros(n)
    u = (x - threshold(x, k, temperature)) / temperature
    log_slope = log_expit(u) + log_expit(-u)
    return expit(u), _softmax(log_slope), np.exp(log_slope) / temperature


def gradients(scores, k, temperature, cotangent):
    """Derivatives of `cotangent @ mask` by scores, k and temperature."""
    x = np.asarray(scores, np.float64)
    _, weights, slope = soft_topk(x, k, temperature)
    average = weights @ cotangent
    by_scores = slope * (cotangent - average)
    if k in (0, len(x)):
        return by_scores, average, 0.0
    u = (x - threshold(x, k, temperature)) / temperature
    by_temperature = -(slope * u) @ (cotangent - average)
    return by_scores, average, by_temperature


def _softmax(x):
    return np.exp(x - logsumexp(x))
