"""Alerts: rules over stored data, opened and closed once each, sent by mail and webhook."""
