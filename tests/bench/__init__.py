"""What design decisions are worth, as ratios measured side by side: see tests/bench/__main__.py."""
