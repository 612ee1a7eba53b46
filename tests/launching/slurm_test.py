"""The trials of a sweep on a real Slurm of one node, where that is installed."""

import contextlib
import csv
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "scancel", "scontrol")
pytestmark = pytest.mark.system
CONFIG = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={first}
SlurmdPort={second}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
StateSaveLocation={folder}
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
MpiDefault=none
KillWait=30
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=test Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def until(condition, seconds=90):
    """Whether it holds before so many seconds are over."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The environment of processes that use a Slurm of this machine alone."""
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing or os.geteuid():
        pytest.skip(f"needs root and Slurm; missing: {missing}")
    folder = tmp_path_factory.mktemp("slurm")
    folder.chmod(0o755)
    values = dict(host=socket.gethostname().partition(".")[0], folder=folder)
    values |= dict(first=free_port(), second=free_port())
    (folder / "slurm.conf").write_text(CONFIG.format(**values))
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    files = ("socket", "key-file", "pid-file", "log-file", "seed-file")
    munge = [f"--{file}={folder}/munge.{file.partition('-')[0]}" for file in files]
    foreground = [["munged", "--foreground", "--force", *munge]]
    foreground += [["slurmctld", "-D"], ["slurmd", "-D"]]
    with contextlib.ExitStack() as stack:
        for words in foreground:
            process = subprocess.Popen(
                words,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
            time.sleep(0.5)
        sinfo = lambda: subprocess.run(
            ("sinfo", "-h", "-o", "%T"), env=environment, capture_output=True
        )
        assert until(lambda: sinfo().stdout.strip() == b"idle", 30)
        yield environment


def start(cluster, experiment, folder, limit=300, **variables):
    command = [sys.executable, "launch.py", "sweep", f"tests/launching/{experiment}.py"]
    command += [f"--workdir={folder}", "--slurm=test", f"--limit={limit}"]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**cluster, **variables},
        stdout=subprocess.PIPE,
        text=True,
    )


def squeue(cluster, fields):
    asked = ("squeue", "-h", "-r", "-o", fields)
    listed = subprocess.run(asked, env=cluster, capture_output=True, text=True)
    return listed.stdout.split()


def test_trials_run_as_jobs_and_none_stops_the_others(cluster, tmp_path):
    trials = [dict(does="returns"), dict(does="raises", number=4)]
    trials += [dict(does="hangs once")]
    variables = dict(TOYS=json.dumps(trials), TOYS_NOTES=str(tmp_path))
    process = start(cluster, "toys", tmp_path / "sweep", limit=30, **variables)
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "failed    does=raises,number=4" in printed
    assert "is not to its liking" in printed
    with (tmp_path / "sweep/report.csv").open() as file:
        did = [row["does"] for row in csv.DictReader(file)]
    assert did == ["returns", "hangs once"]
    assert "killed past its limit of 30 s" in printed
    calls = (tmp_path / "calls").read_text().splitlines()
    assert sorted(calls) == [*["hangs once 0"] * 2, *["raises 4"] * 2, "returns 0"]


def test_a_stopped_launcher_cancels_its_jobs(cluster, tmp_path):
    variables = dict(TOYS='[{"does": "sleeps"}]', TOYS_NOTES=str(tmp_path))
    process = start(cluster, "toys", tmp_path / "sweep", **variables)
    assert until(lambda: (tmp_path / "pid").exists())
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "go on with" in printed.splitlines()[-1]
    assert until(lambda: not squeue(cluster, "%i"))
    assert not pathlib.Path(f"/proc/{(tmp_path / 'pid').read_text()}").exists()


def test_a_preempted_run_is_requeued_and_resumes_from_its_checkpoint(cluster, tmp_path):
    quick = dict(JAX_DISABLE_MOST_OPTIMIZATIONS="1")
    process = start(cluster, "tiny_digits", tmp_path, **quick)
    size = lambda: sum(p.stat().st_size for p in tmp_path.glob("*/*/*/metrics.jsonl"))
    assert until(size)
    (job,) = squeue(cluster, "%i")
    subprocess.run(("scontrol", "requeue", job), env=cluster, check=True)
    assert until(lambda: squeue(cluster, "%T") == ["PENDING"])
    # A job that was requeued waits for two minutes, unless it is told to begin.
    begin = ("scontrol", "update", f"JobId={job}", "StartTime=now")
    assert until(lambda: subprocess.run(begin, env=cluster).returncode == 0)
    process.communicate(timeout=300)
    assert process.returncode == 0
    (log,) = tmp_path.glob("random_topk/tiny/1-*/log.txt")
    assert "stopped at step" in log.read_text()
    assert "resumed from step" in log.read_text()
