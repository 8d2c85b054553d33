"""Audits: how right a published version is, by people who judge a fresh sample of it."""
