"""Puts configs/ and experiments/ into the wheel, as packages of dynsparse."""

from setuptools import find_packages, setup

INSIDE = ("configs", "experiments")

setup(
    packages=[
        *find_packages(include=["dynsparse", "dynsparse.*"]),
        *(
            f"dynsparse.{name}"
            for inside in INSIDE
            for name in find_packages(include=[inside, f"{inside}.*"])
        ),
    ],
    package_dir={f"dynsparse.{name}": name for name in INSIDE},
)
