"""The streaming recogniser: events in, decisions out. Pure but for `worker`, `local`, `demo` and `cli`."""
