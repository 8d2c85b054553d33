"""The version of what labels are made with."""

MODEL_VERSION = 4
"""Changes when the same votes would get other labels; then models and labels are made again."""
