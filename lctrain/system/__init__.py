"""What the operating system gives: processes, memory, files, signals, locks. Knows nothing of the rest of lctrain."""
