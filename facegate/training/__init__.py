"""Training, export and evaluation of the networks; never imported by the runtime."""
