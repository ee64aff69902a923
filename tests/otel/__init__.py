"""Following jobs with OpenTelemetry."""
