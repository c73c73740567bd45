"""Whether an interrupt stops a long fit soon, and leaves a cache of whole files.

A process fits in two threads, with a cache on disk, and gets the signal of Ctrl-C some
time after it has begun. All that share a number of features share the cache: each finds
what those before it have left. Then a fit goes to its end, and the last are interrupted
in the shortest paths, which are never kept. `speed.py` measures this with all else;
alone it takes three minutes:

    python benchmarks/_interrupts.py
"""

import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import joblib
from _cases import (
    MANY,
    MOST_DIFFERENCE_OF_CACHE,
    MOST_SECONDS_TO_END,
)
from _jobs import relative_difference
from _measure import ONE_THREAD, seconds_of
from _report import Promise, as_text, exit_if_missed, rows_of_promises
from _swiss_roll import rotated_swiss_roll

N_LANDMARKS = 4000
# Seconds after the start of the fit, by the number of features.
MOMENTS = {3: (0.5, 1.5, 3.0, 5.0), 10: (1.5, 5.0, 10.0, 15.0)}
# The last, as parts of the time of a fit that finds in the cache what can be: it ends
# with the shortest paths.
PARTS = (0.7, 0.85)
INTERRUPTED, SWALLOWED = 130, 131  # exit statuses
# Seconds after which a fit is taken for one that goes on.
PATIENCE = 60
# What joblib keeps: .gitignore, which it writes directly, and what it writes under
# another name and then renames.
RESULT = "output.pkl"
KEPT = (RESULT, "metadata.json", "func_code.py", ".gitignore")


def model(memory=None, n_landmarks=N_LANDMARKS):
    from skgengeo import GenerativeGeodesicDistance

    return GenerativeGeodesicDistance(
        memory=memory, n_landmarks=n_landmarks, random_state=0, n_jobs=2
    )


def fit_until_interrupted(n_features, folder):
    """In a process of its own, which says when the fit begins."""
    X, came = rotated_swiss_roll(MANY, int(n_features)), []
    model(n_landmarks=100).fit(X[:200])  # compiles

    def interrupt(*arguments):
        came.append(arguments)
        signal.default_int_handler(*arguments)

    signal.signal(signal.SIGINT, interrupt)
    print("ready", flush=True)
    try:
        model(folder).fit(X)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(SWALLOWED if came else 0)


def seconds_to_end(n_features, folder, moment):
    """From the interrupt to the end of the process.

    None if the fit was done before, and inf if the interrupt did not end it.
    """
    command = [sys.executable, __file__, str(n_features), folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=ONE_THREAD) as process:
        process.stdout.readline()
        time.sleep(moment)
        start = time.perf_counter()
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
        process.kill()  # where it has not ended
        status = process.wait()
        seconds = time.perf_counter() - start
    told = {0: "the fit was done before", INTERRUPTED: f"ended in {seconds:.2f} s"}
    print(
        f"  interrupt at {moment:.2f} s, d = {n_features}:",
        told.get(status, f"not ended by it, exit status {status}"),
        file=sys.stderr,
    )
    return {0: None, INTERRUPTED: seconds}.get(status, float("inf"))


def seconds_to_ends(n_features, folder, moments):
    """Of the fits that were not done before."""
    found = [seconds_to_end(n_features, folder, moment) for moment in moments]
    return [seconds for seconds in found if seconds is not None]


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


def promises():
    """In `MANY` samples."""
    for n_features, moments in MOMENTS.items():
        with tempfile.TemporaryDirectory() as folder:
            yield from promises_of(n_features, moments, folder)


def promises_of(n_features, moments, folder):
    """Distances, whose fit without a cache takes long, in the fewest features alone."""
    where = f"interrupted fits, n_jobs=2, d = {n_features}, n = {MANY:,}"
    X = rotated_swiss_roll(MANY, n_features)
    seconds = seconds_to_ends(n_features, folder, moments)
    n_whole, n_half = len(list(Path(folder).rglob(RESULT))), n_half_written(folder)
    cached = model(folder).fit(X).landmark_distances_
    whole = seconds_of(lambda: model(folder).fit(X))
    seconds += seconds_to_ends(n_features, folder, [part * whole for part in PARTS])
    # NaN keeps no promise: no fit was interrupted.
    longest = max(seconds, default=float("nan"))
    what = f"{where}: seconds to the end of the process, the longest of {len(seconds)}"
    yield Promise(what, longest, MOST_SECONDS_TO_END)
    what = f"{where}: results in their cache"
    yield Promise(what, n_whole, 1, at_least=True)
    yield Promise(f"{where}: half-written files in their cache", n_half, 0)
    if n_features == min(MOMENTS):
        anew = model().fit(X).landmark_distances_
        what = f"{where}: largest relative difference, their cache and none"
        off = relative_difference(cached, anew)
        yield Promise(what, off, MOST_DIFFERENCE_OF_CACHE)


def check():
    """Print the promises, and fail where one is missed."""
    found = list(promises())
    print(as_text(rows_of_promises(found)))
    exit_if_missed(found)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments:
        fit_until_interrupted(*arguments)
    else:
        check()
