"""What a gate costs on this machine: networks against the processor's peak, stages, a live run."""
