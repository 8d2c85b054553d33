"""Audits: how right a published version is, by people who judge a fresh sample of it."""

from __future__ import annotations

from labelmill.audits.effort import Effort, effort
from labelmill.audits.results import AuditResult, ClassAudit, SliceAudit, latest_audit

__all__ = ["AuditResult", "ClassAudit", "Effort", "SliceAudit", "effort", "latest_audit"]
