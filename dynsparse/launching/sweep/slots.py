"""Where trials run: a share of the cores each, or a GPU.

On the CPU, N jobs get 1/N of the cores each: XLA sizes its pool by NPROC, and OpenMP
and OpenBLAS theirs by variables of their own. (With jaxlib 0.10.2, a matrix product on
two cores took 1.9 processor seconds a second as it comes, also under XLA_FLAGS=
--xla_cpu_multi_thread_eigen=false, and 1.0 under NPROC=1.) A single job runs uncapped,
as without a launcher. With GPUs, each job sees one of them, in turn; jobs that share
one share its memory too. CUDA_VISIBLE_DEVICES of the launcher limits the choice.
"""

import math
import os
import pathlib
import platform
import shutil
import subprocess

from dynsparse.launching.shipped import IN_CHECKOUT, PACKAGE

_GPU_MEMORY = 0.9  # of a GPU, for all the jobs on it


def devices() -> list[str]:
    """The GPUs that jax would use here, by index; none on a machine without."""
    if os.environ.get("JAX_PLATFORMS", "") == "cpu" or not shutil.which("nvidia-smi"):
        return []
    if (chosen := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name.strip() for name in chosen.split(",") if name.strip()]
    asked = ("nvidia-smi", "--query-gpu=index", "--format=csv,noheader")
    listed = subprocess.run(asked, capture_output=True, text=True)
    return listed.stdout.split() if listed.returncode == 0 else []


def environments(jobs: int) -> list[dict[str, str]]:
    """What each of `jobs` processes has in its environment beside the launcher's."""
    if gpus := devices():
        memory = _GPU_MEMORY / math.ceil(jobs / len(gpus))
        share = {"XLA_PYTHON_CLIENT_MEM_FRACTION": f"{memory:.3f}"}
        shared = share if jobs > len(gpus) else {}
        turns = [gpus[job % len(gpus)] for job in range(jobs)]
        return [{"CUDA_VISIBLE_DEVICES": gpu} | shared for gpu in turns]
    known = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1
    caps = ("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS") if jobs > 1 else ()
    return [dict.fromkeys(caps, str(max(1, cores // jobs)))] * jobs


def compiled_once(sweep: pathlib.Path) -> dict[str, str]:
    """The environment in which trials share what they compile, in the sweep's folder.

    Seeds run the same programs: the first compiles them, the others load them. Each
    machine has a folder of its own, since another may lack the instructions that were
    compiled. A cache that the user has chosen stays.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return {}
    cache = sweep.resolve() / ".compiled" / platform.node()
    return {
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
    }


def search_path() -> dict[str, str]:
    """The environment in which Python finds the library, if it is not installed."""
    paths = [str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, paths))} if IN_CHECKOUT else {}
