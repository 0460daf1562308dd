"""Conformance checks over HTTP, for LayerCode webhooks written in any programming language."""
