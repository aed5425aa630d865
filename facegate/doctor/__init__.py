"""Is everything there that a gate needs? One check a function, each with its mend."""
