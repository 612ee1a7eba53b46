"""Runs one config, resumes it, serves or compares it, or sweeps; see --help.

Imports no jax until a run starts.
"""

import contextlib
import pathlib
import sys
from collections.abc import Sequence

from rich.console import Console

from dynsparse import launching, reports
from dynsparse._internal.atomic_write import DamagedFileError, is_full
from dynsparse._internal.stop_signal import StopSignal
from dynsparse.launching import sweep


def main(argv: list[str]) -> int:
    """Returns the exit status: 0 done, 1 failed, 2 a mistake in the command."""
    console = launching.make_console()
    launching.keep_freed_memory()
    try:
        if launching.asks_to_compare(argv):
            console.print(reports.compare_runs(launching.parse_compare(argv)))
            return 0
        if launching.asks_to_serve(argv):
            return serve(launching.parse_serve(argv), console)
        if sweep.asks_to_sweep(argv):
            return sweep.run_sweep(sweep.parse_sweep(argv), console)
        if sweep.asks_for_trial(argv):
            return trial(argv, console)
        request = launching.parse(argv)
        if request is None:
            return 0
        launching.check_config(request.workdir, request.plain_config)
        result = reports.read_result(request.workdir, trained=True)
        if result is None and request.dry_run:
            describe([request], console)
            return 0
        if result is None:
            results = run([request], console)
            result = results[0] if results else None
    except (launching.UserError, DamagedFileError) as error:
        sys.stderr.write(f"error: {error}\n")
        return launching.MISTAKE
    except FloatingPointError as error:
        sys.stderr.write(f"failed: {error}; the last checkpoint stands\n")
        return 1
    except (MemoryError, RuntimeError) as error:
        if not launching.is_too_large(error):
            raise
        sys.stderr.write(f"error: {launching.too_large(error)}\n")
        return launching.MISTAKE
    except OSError as error:
        if error.errno is None:
            raise
        told = " ".join(str(error).split())
        sys.stderr.write(f"failed: {told}; what was saved before stands\n")
        return sweep.FULL_DISK if is_full(error) else 1
    if result is None:
        return 130
    console.print(reports.run_summary(result, request.workdir, request.more))
    return 0


def run(
    requests: Sequence[launching.Request], console: Console, examine=None
) -> list[dict] | None:
    """Trains, several as one program, and evaluates each.

    Returns the results, or None if it was interrupted. What `examine` returns of a
    trained state becomes a part of its result.
    """
    try:
        return _run(requests, console, examine)
    except KeyboardInterrupt as stopped:  # training.Interrupted is one
        command = requests[0].command
        console.print(f"{str(stopped) or 'stopped'}; resume with  {command}")
        return None


def _run(
    requests: Sequence[launching.Request], console: Console, examine
) -> list[dict]:
    experiments = describe(requests, console)
    from dynsparse import training

    with contextlib.ExitStack() as claims:
        for each in requests:
            held = launching.claim(each.workdir, each.plain_config, each.patience)
            claims.enter_context(held)
        console.print(f"resume   {requests[0].command}")
        try:
            folders = [request.workdir for request in requests]
            states = training.train_together(experiments, folders)
            return [
                training.finish(
                    experiment,
                    state,
                    request.workdir,
                    request.plain_config,
                    request.title,
                    examine,
                )
                for experiment, state, request in zip(
                    experiments, states, requests, strict=True
                )
            ]
        except training.CheckpointError as error:
            raise launching.UserError(error) from error


def describe(requests: Sequence[launching.Request], console: Console) -> list:
    """Prepares runs and says what they are; returns the experiments."""
    launching.hush_libraries()
    console.print("preparing the data and the model ...")
    from dynsparse import training

    try:
        configs = [request.config.to_dict() for request in requests]
        resumed = [training.has_checkpoint(request.workdir) for request in requests]
        experiments = training.prepare_together(configs, resumed)
    except ValueError as error:
        raise launching.UserError(error) from error
    first = requests[0]
    console.print(training.describe(experiments[0], first.workdir, first.title))
    for note in dict.fromkeys(note for each in experiments for note in each.notes):
        console.print(f"note     {note}")
    return experiments


def trial(argv: list[str], console: Console) -> int:
    """Runs trials of a sweep, in the process that its launcher made for them."""
    folders = [pathlib.Path(word.partition("=")[2]) for word in argv[1:]]
    asked = [(*sweep.read_trial(folder), folder) for folder in folders]
    sweep.stop_with_launcher()
    requests, examine = [], None
    for found, request, folder in asked:
        if reports.read_result(folder) is not None:
            continue
        if request is None:
            sweep.measure(found, folder)
        else:
            requests.append(request)
            examine = sweep.examiner(found)
    return 0 if not requests or run(requests, console, examine) else sweep.STOPPED


def serve(request: launching.ServeRequest, console: Console) -> int:
    """Replays a load against the ladder of a run; returns the exit status."""
    launching.hush_libraries()
    with (
        StopSignal(only_first=True) as stop,
        launching.serve_folder(request) as folder,
    ):
        from dynsparse import training
        from dynsparse.bench.load_test import ServedModel, run_load_test

        try:
            run = training.restore(request.run, trust=request.trust)
            experiment, state = run.prepared, run.state
            served = ServedModel(
                name=request.run.name,
                model=experiment.trainer.model(state),
                dataset=experiment.dataset,
                inputs=training.training_inputs(experiment),
                least_density=training.least_density(experiment),
            )
            whole = run_load_test(
                served,
                request.options,
                folder,
                console=console,
                stopped=lambda: stop.times > 0,
            )
        except ValueError as error:
            raise launching.UserError(error) from error
        except KeyboardInterrupt:  # nothing had been measured yet
            console.print("stopped before anything was measured")
            return 130
    return 0 if whole else 130


if __name__ == "__main__":
    sys.exit(main(sys.argv))
