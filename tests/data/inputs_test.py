"""The map from images to what a model takes."""

import jax
import numpy as np
import pytest

from dynsparse.data import Inputs


def drawn(shape=(50, 6, 5, 3)):
    rng = np.random.default_rng(0)
    return rng.integers([0, 100, 30], [200, 256, 40], shape).astype(np.uint8)


def test_each_channel_gets_mean_0_and_deviation_1():
    images = drawn()
    mapped = np.asarray(Inputs.standardising(images)(images), np.float64)
    np.testing.assert_allclose(mapped.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(mapped.std((0, 1, 2)), 1, atol=1e-5)


def test_a_channel_of_one_value_becomes_zeros():
    images = np.full((4, 6, 5, 1), 9, np.uint8)
    np.testing.assert_allclose(Inputs.standardising(images)(images), 0, atol=1e-6)


def test_by_default_255_is_1_and_compilation_changes_nothing():
    images = drawn()
    expected = images.astype(np.float32) / 255
    np.testing.assert_allclose(Inputs()(images), expected, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(Inputs())(images), Inputs()(images), rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_what_is_not_uint8_is_refused(dtype):
    with pytest.raises(ValueError, match="images must be uint8"):
        Inputs()(drawn().astype(dtype))
