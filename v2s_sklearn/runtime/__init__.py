"""How we compute: settings, threads, devices, memory, progress."""
