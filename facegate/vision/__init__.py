"""From a picture to an embedding. Imports only `facegate.types` and `facegate.errors`."""
