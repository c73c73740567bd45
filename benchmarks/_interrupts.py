"""Whether an interrupt stops a long fit soon, and leaves a cache of whole files.

A process fits in two threads, with a cache on disk, and gets the signal of Ctrl-C some
time after it has begun. All that share a number of features share the cache: each finds
what those before it have left. `speed.py` measures this with all else; alone it takes
two minutes:

    python benchmarks/_interrupts.py
"""

import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import joblib
from _cases import D_OF_INTERRUPTS, MANY
from _jobs import relative_difference, swiss_roll
from _measure import ONE_THREAD
from _report import Promise, as_text, rows_of_promises

N_LANDMARKS = 4000
# Seconds after the start of the fit.
MOMENTS = (0.5, 1.5, 3.0, 5.0)
MOST_SECONDS, MOST_DIFFERENCE = 2.0, 1e-12
INTERRUPTED = 130  # the exit status
# What joblib keeps, written under another name and then renamed.
KEPT = ("output.pkl", "metadata.json", "func_code.py", ".gitignore")


def model(memory=None, n_landmarks=N_LANDMARKS):
    from skgengeo import GenerativeGeodesicDistance

    return GenerativeGeodesicDistance(
        memory=memory, n_landmarks=n_landmarks, random_state=0, n_jobs=2
    )


def fit_until_interrupted(n_features, folder):
    """In a process of its own, which says when the fit begins."""
    X = swiss_roll(MANY, int(n_features))
    model(n_landmarks=100).fit(X[:200])  # compiles
    signal.signal(signal.SIGINT, signal.default_int_handler)
    print("ready", flush=True)
    try:
        model(folder).fit(X)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def seconds_to_end(n_features, folder, moment):
    """From the interrupt to the end of the process; None if it had ended by then."""
    command = [sys.executable, __file__, str(n_features), folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=ONE_THREAD) as process:
        process.stdout.readline()
        time.sleep(moment)
        running, start = process.poll() is None, time.perf_counter()
        process.send_signal(signal.SIGINT)
        status = process.wait()
        seconds = time.perf_counter() - start
    if status not in (0, INTERRUPTED):
        raise subprocess.CalledProcessError(status, command)
    told = f"ended in {seconds:.2f} s" if running else "done by then, not counted"
    print(f"  interrupt at {moment} s, d = {n_features}: {told}", file=sys.stderr)
    return seconds if running else None


def longest_to_end(n_features, folder):
    """NaN, which keeps no promise, if each fit was done before its interrupt."""
    found = [seconds_to_end(n_features, folder, moment) for moment in MOMENTS]
    return max((s for s in found if s is not None), default=float("nan"))


def is_whole(file):
    """Under the name that it gets in the end, and readable."""
    if file.suffix == ".pkl":
        try:
            joblib.load(file)
        except Exception:
            return False
    return file.name in KEPT


def n_half_written(folder):
    files = [file for file in Path(folder).rglob("*") if file.is_file()]
    return sum(not is_whole(file) for file in files)


def difference(n_features, folder):
    """Of distances by the cache that interrupts have left, from those without one."""
    X = swiss_roll(MANY, n_features)
    cached, anew = (
        model(memory).fit(X).landmark_distances_ for memory in (folder, None)
    )
    return relative_difference(cached, anew)


def promises():
    """In `MANY` samples; distances are compared in the fewest features alone."""
    for d in D_OF_INTERRUPTS:
        where = f"interrupted fits, n_jobs=2, d = {d}, n = {MANY:,}"
        with tempfile.TemporaryDirectory() as folder:
            what = f"{where}: seconds to the end of the process, the longest"
            yield Promise(what, longest_to_end(d, folder), MOST_SECONDS)
            what = f"{where}: half-written files in their cache"
            yield Promise(what, n_half_written(folder), 0)
            if d == min(D_OF_INTERRUPTS):
                what = f"{where}: largest relative difference, their cache and none"
                yield Promise(what, difference(d, folder), MOST_DIFFERENCE)


def check():
    """Print the promises, and fail where one is missed."""
    found = list(promises())
    print(as_text(rows_of_promises(found)))
    if not all(promise.met for promise in found):
        sys.exit("Missed: see above.")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    arguments = sys.argv[1:]
    if arguments:
        fit_until_interrupted(*arguments)
    else:
        check()
