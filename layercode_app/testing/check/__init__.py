"""Conformance checks for any LayerCode webhook, in any language, from outside over HTTP."""
