"""What `launch.py --help` prints."""

import importlib
import textwrap

_USAGE = """Runs one experiment, or resumes it in the folder where it was left.

  python launch.py --config=configs/TASK.py[:METHOD[,MODEL[,BUDGET]]]
                   [--config.KEY=VALUE ...] [--workdir=DIR] [--dry_run]

  --config        what to run; METHOD, MODEL and BUDGET are listed below, and rows of
                  configs/methods.py, models.py and budgets.py
  --config.KEY    overrides one value, such as --config.train.num_steps=100
  --workdir       folder of the run; a fresh one under runs/ by default. The same
                  command with the same folder goes on from the last checkpoint.
  --dry_run       says what would be run, and writes nothing

  python launch.py --serve=RUN_DIR [--load=spike] [--seconds=9] [--rounds=3]
                   [--request_size=64] [--rungs=6] [--lowest=0.15]
                   [--least_accuracy=0] [--seed=0] [--trust]

  --serve         folder of a run: replays a load against its ladder of budgets, with
                  the controller and on each rung alone, and writes ladder.json,
                  serving.csv and serving.png into a new folder of its own,
                  RUN_DIR/serve/LOAD-NUMBER
  --load          constant, ramp, sine or spike; 1 is what the full model can serve
  --seconds       of each replay of the load
  --rounds        in which each policy is tried once, another one first; medians count
  --rungs         budgets, from --lowest to all of the dense MACs; none below the
                  densities that the run was trained at
  --least_accuracy
                  on the validation split, of the rungs that the controller may choose
  --trust         imports the classes outside this library that its config.json names,
                  and so runs their code: for folders whose maker you trust

  python launch.py --compare RUN_DIR RUN_DIR ...

  --compare       folders of finished runs: prints what their configs differ in, then
                  their numbers

  python launch.py --sweep=experiments/NAME.py[:SIZE] [--workdir=DIR] [--jobs=N]
                   [--config=configs/TASK.py] [--config.KEY=VALUE ...]
                   [--together=N] [--limit=SECONDS] [--dry_run]
                   [--report_only] [--slurm=PARTITION]

  --sweep         an experiment: runs its trials, each in a process of its own, and
                  writes report.md, report.csv and figures. SIZE is small, which takes
                  minutes and claims nothing, or full. The same command goes on where it
                  stopped: finished trials are skipped, others resumed
  --workdir       folder of the sweep; runs/NAME-SIZE by default
  --config        the task of all trials that train, in place of the experiment's; each
                  keeps its method, and --config.KEY overrides one value of all
  --jobs          trials at the same time: on the CPU they share the cores, and with
                  GPUs each sees one; as many as there are GPUs by default, or 1
  --together      trials that one process may train as one program, where their configs
                  differ in seed and weights of penalties alone: pays on a GPU that one
                  of them leaves idle
  --limit         seconds after which a trial counts as hung and is killed; a trial that
                  dies is tried once more
  --dry_run       prints the trials
  --report_only   writes the report of the trials that are finished
  --slurm         runs the trials as an array of jobs there (pip install submitit);
                  --jobs bounds how many run at once, and sbatch's own variables, such
                  as SBATCH_GRES=gpu:1, say what else a job gets

  python launch.py --version
"""


def usage() -> str:
    """Returns all commands, and what configs/ offers to choose from."""
    configs = importlib.import_module("dynsparse.configs")
    listed = []
    for title, names in {**configs.TABLES, "task": configs.tasks()}.items():
        front = f"  {title.upper():<8}"
        listed.append(
            textwrap.fill(
                ", ".join(sorted(names)),
                84,
                initial_indent=front,
                subsequent_indent=" " * len(front),
            )
        )
    return "\n".join([_USAGE, *listed, ""])
