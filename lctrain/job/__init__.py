"""One training job, from a configuration to a finished run, and resuming one that was not finished."""
