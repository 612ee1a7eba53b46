"""Where trials run: on a share of the cores each, on a GPU, or as jobs of Slurm.

On the CPU, N jobs get 1/N of the cores each: XLA sizes its pool by NPROC, and OpenMP
and OpenBLAS theirs by variables of their own. (With jaxlib 0.10.2, a matrix product on
two cores took 1.9 processor seconds a second as it comes, also under XLA_FLAGS=
--xla_cpu_multi_thread_eigen=false, and 1.0 under NPROC=1.) A single job runs uncapped,
as without a launcher. With GPUs, each job sees one of them, in turn; jobs that share
one share its memory too. CUDA_VISIBLE_DEVICES of the launcher limits the choice.

On Slurm, a place is a job at a time, and `sbatch --wait` stands for its process. What
survives of a job that is preempted, requeued or cancelled is what its trial left in its
folder, so the folder of the sweep lies where every node sees it.
"""

import math
import os
import shutil
import subprocess
from collections.abc import Mapping
from typing import NamedTuple

from dynsparse.launching.arguments import UserError

_GPU_MEMORY = 0.9  # of a GPU, for all the jobs on it
_MARGIN = 180.0  # seconds of a job beside its trials


class Place(NamedTuple):
    """Where one bundle of trials runs at a time.

    Attributes:
        environment: What a process has there beside the environment of this one.
        submit: The command that stands before another to make a job of it, or nothing.
        cancel: The command that stops such a job.
    """

    environment: Mapping[str, str] = {}
    submit: tuple[str, ...] = ()
    cancel: tuple[str, ...] = ()


def devices() -> list[str]:
    """The GPUs that jax would use here, by index; none on a machine without."""
    if os.environ.get("JAX_PLATFORMS", "") == "cpu" or not shutil.which("nvidia-smi"):
        return []
    if (chosen := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name.strip() for name in chosen.split(",") if name.strip()]
    asked = ("nvidia-smi", "--query-gpu=index", "--format=csv,noheader")
    listed = subprocess.run(asked, capture_output=True, text=True)
    return listed.stdout.split() if listed.returncode == 0 else []


def places_here(jobs: int) -> list[Place]:
    """A place on this machine for each of so many jobs."""
    if gpus := devices():
        memory = _GPU_MEMORY / math.ceil(jobs / len(gpus))
        share = {"XLA_PYTHON_CLIENT_MEM_FRACTION": f"{memory:.3f}"}
        shared = share if jobs > len(gpus) else {}
        turns = [gpus[job % len(gpus)] for job in range(jobs)]
        return [Place({"CUDA_VISIBLE_DEVICES": gpu} | shared) for gpu in turns]
    known = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1
    caps = ("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS") if jobs > 1 else ()
    return [Place(dict.fromkeys(caps, str(max(1, cores // jobs))))] * jobs


def places_on_slurm(jobs: int, partition: str, seconds: float) -> list[Place]:
    """A place on a cluster for each of so many jobs.

    Args:
        jobs: That are queued or run at once.
        partition: Of the cluster.
        seconds: That the trials of a job may take.

    Raises:
        UserError: If there is no Slurm here, or it takes no such jobs.
    """
    if not shutil.which("sbatch"):
        raise UserError("--slurm: this machine has no sbatch; is Slurm installed?")
    submit = ["sbatch", f"--partition={partition}", "--requeue", "--open-mode=append"]
    submit.append(f"--time={math.ceil((seconds + _MARGIN) / 60)}")
    tried = subprocess.run(
        [*submit, "--test-only", "--wrap=true"], capture_output=True, text=True
    )
    if tried.returncode:
        raise UserError(f"--slurm: {tried.stderr.strip().splitlines()[-1]}")
    names = [f"dynsparse-{os.getpid()}-{job}" for job in range(jobs)]
    return [
        Place(
            submit=(*submit, "--wait", "--quiet", f"--job-name={name}"),
            cancel=("scancel", f"--name={name}"),
        )
        for name in names
    ]
