"""Hours of a gate at work in minutes of trouble: what a soak run is made of."""
