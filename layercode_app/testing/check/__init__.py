"""Conformance of any LayerCode webhook, ours or another, in any language, seen from outside through HTTP."""
