"""Make certificates for servers of a test or a benchmark."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .support import need_program


def localhost_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for localhost in the folder. Return the paths of the certificate and of its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    make = [
        need_program("openssl"),
        *["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"],
    ]
    make += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(make, check=True, capture_output=True)
    return certificate, key
