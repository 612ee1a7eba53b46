"""The real TensorBoard page of a sweep, opened once in a headless browser."""

import re
import shutil
import subprocess
import sys
import time
import urllib.request

import matplotlib.colors
import matplotlib.image
import numpy as np
import pytest

from tests.reports import fake_sweep

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    None,
)


@pytest.fixture
def address(tmp_path):
    """A TensorBoard over the summary of a sweep; it chooses a free port."""
    sweep = tmp_path / "sweep"
    fake_sweep.write_summary(sweep)
    log = tmp_path / "log"
    command = [
        sys.executable,
        "-m",
        "tensorboard.main",
        "--port=0",
        "--load_fast=false",
    ]
    with log.open("w") as file:
        server = subprocess.Popen(
            [*command, f"--logdir={sweep / '_summary'}"], stdout=file, stderr=file
        )
    try:
        yield _wait(lambda: re.search(r"http://\S+", log.read_text()))[0]
    finally:
        server.terminate()
        server.wait()


@pytest.mark.system
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_the_page_shows_a_curve_per_method(address, tmp_path):
    runs = f"{address}data/runs"
    _wait(lambda: b"@kflops" in urllib.request.urlopen(runs).read())
    image = tmp_path / "page.png"
    subprocess.run(
        [
            BROWSER,
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-webgl"),
            *("--window-size=1400,1000", "--virtual-time-budget=20000"),
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--screenshot={image}",
            f"{address}#timeseries",
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    pixels = matplotlib.image.imread(image)[..., :3]
    cards = pixels[:, 290:1140]  # without the dots in the list of runs
    for colour in ("#e52592", "#f9ab00", "#9334e6"):  # of the second to the fourth run
        near = np.abs(cards - matplotlib.colors.to_rgb(colour)).max(-1) < 0.05
        assert near.any(0).sum() > 200, f"no line of {colour} in the screenshot"


def _wait(ask):
    """What `ask` returns as soon as it is anything, within a minute."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if found := ask():
            return found
        time.sleep(0.2)
    raise TimeoutError("TensorBoard did not answer within a minute.")
