"""What pytest skips here: only the hand-written pages hold doctests."""

collect_ignore = ["conf.py"]
collect_ignore_glob = ["_build/*", "auto_examples/*", "api/*"]
