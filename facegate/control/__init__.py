"""The daemon's local API: HTTP/1.1 over a Unix socket."""
