"""What a multirun adds to single jobs: a supervisor of each, records of how they ended, resuming, progress."""
