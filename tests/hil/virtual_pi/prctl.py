"""picamera2 imports it to name the process of its encoder, which does not run here."""
