"""Start MPS on one machine: embedded servers, web, workers and beat.

Nothing here imports Django: the launcher runs before Django can be configured, and `mps.settings`
reads the addresses and secrets it keeps (`mps.launcher.state`).
"""
