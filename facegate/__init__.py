"""The gate beside a door: looks, knows who is there, and opens."""
