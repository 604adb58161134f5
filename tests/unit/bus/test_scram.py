"""Password verifiers, by the example of RFC 7677."""

import base64
import hashlib
import hmac
import re

from flotilla.bus.scram import scram_verifier

SALT = "W22ZaJ0SNY7soEsUEjb6gQ=="
CLIENT, BOTH = "rOprNGfwEbeRWgbNEkqO", "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
SAID = f"n=user,r={CLIENT},r={BOTH},s={SALT},i=4096,c=biws,r={BOTH}".encode()
PROOF = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
SIGNATURE = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def keys(verifier: str) -> tuple[bytes, bytes]:
    found = re.fullmatch(r"SCRAM-SHA-256\$4096:([^$]+)\$([^:]+):(.+)", verifier)
    assert found is not None
    stored, server = (base64.b64decode(text) for text in found.groups()[1:])
    return stored, server


def test_whoever_keeps_it_takes_the_proof_of_the_rfc_and_signs_as_there() -> None:
    stored, server = keys(scram_verifier("pencil", base64.b64decode(SALT)))
    assert base64.b64encode(hmac.digest(server, SAID, "sha256")).decode() == SIGNATURE
    signature = hmac.digest(stored, SAID, "sha256")
    key = bytes(a ^ b for a, b in zip(base64.b64decode(PROOF), signature, strict=True))
    assert hashlib.sha256(key).digest() == stored


def test_the_same_password_is_kept_differently_each_time() -> None:
    assert scram_verifier("pencil") != scram_verifier("pencil")
