"""What concerns the fleet as a whole: overviews, audit, templates, events, probes."""
