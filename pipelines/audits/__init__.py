"""Drawing audits and estimating from them; what is stored of them is in `labelmill.audits`."""
