"""Keys, signatures and forgeries: what a signer does with ssh-keygen, and what an attacker can make
of a signed bundle."""

import base64
import hashlib
import os
import shutil
import struct
import subprocess

import support
from support import fs_image

AREA_SIZE = 4096
_RECORD = struct.Struct("<I")
_MANIFEST_DIGEST, _CHUNK_TABLE_DIGEST, _ROOT = 192, 160, 352  # in the trailer


class Key:
    """An SSH key in a directory of its own."""

    def __init__(self, kind="ed25519"):
        self.path = support.unique_dir("key") / "id"
        subprocess.run(
            ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", self.path], check=True
        )
        self.public = self.path.with_suffix(".pub")
        self.line = self.public.read_text().strip()

    def fingerprint(self):
        return subprocess.check_output(["ssh-keygen", "-lf", self.public], text=True).split()[1]

    def sign(self, bundle):
        support.haft("sign", "--key", self.path, bundle)
        return bundle

    def signature(self, message, namespace="haft"):
        """What ssh-keygen makes, armoured."""
        command = ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", self.path]
        return subprocess.run(
            command, input=message, text=True, check=True, capture_output=True
        ).stdout


def copy(bundle):
    """A copy of its own, which others can run too."""
    new = support.unique_dir("copy", 0o755) / os.path.basename(bundle)
    shutil.copy(bundle, new)
    new.chmod(0o755)
    return new


def _area(data):
    end = len(data) - fs_image.TRAILER_SIZE
    return end - AREA_SIZE, end


def signatures(bundle):
    """Of docs/format.md, without haft."""
    data = bundle.read_bytes()
    start, end = _area(data)
    found = []
    while start < end:
        (size,) = _RECORD.unpack_from(data, start)
        if size == 0:
            break
        found.append(data[start + 4 : start + 4 + size])
        start += (4 + size + 7) // 8 * 8
    return found


def area_of(*blobs):
    area = b""
    for blob in blobs:
        area += _RECORD.pack(len(blob)) + blob
        area += b"\0" * (-len(area) % 8)
    return area


def put_area(bundle, area):
    """Makes this what is in the area, before zeros."""
    data = bytearray(bundle.read_bytes())
    start, end = _area(data)
    data[start:end] = area.ljust(AREA_SIZE, b"\0")
    bundle.write_bytes(data)
    return bundle


def armoured(blob):
    text = base64.b64encode(blob).decode()
    lines = [text[at : at + 70] for at in range(0, len(text), 70)]
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""])


def without_armour(text):
    return base64.b64decode("".join(text.split("\n")[1:-2]))


class Forgery:
    """A bundle that is changed, and then made consistent again: all digests hold, the root too."""

    def __init__(self, bundle):
        self.bundle = bundle
        self.image = fs_image.Image(bundle)
        self.data = bytearray(self.image.data)

    def change_block(self, old, new):
        """Text in a block that is stored as it is."""
        at = self.data.index(old.encode(), self.image.image_offset)
        self.data[at : at + len(old)] = new.encode()
        table = self.image.string_start - 56 * len(self.image.blocks)
        for number, (offset, size, _, _, codec, _) in enumerate(self.image.blocks):
            start = self.image.image_offset + offset
            if start <= at < start + size:
                assert codec == 0, "the block is compressed"
                digest = hashlib.sha256(self.data[start : start + size]).digest()
                place = table + 56 * number + 16
                self.data[place : place + 32] = digest
        return self

    def change_name(self, old, new):
        """A name in the index."""
        at = self.data.index(old.encode(), self.image.string_start)
        assert at < self.image.index_end
        self.data[at : at + len(old)] = new.encode()
        return self

    def change_manifest(self, old, new):
        start = self.image.image_offset + self.image.trailer["manifest_offset"]
        at = self.data.index(old.encode(), start)
        assert at < start + self.image.trailer["manifest_size"] and len(old) == len(new)
        self.data[at : at + len(old)] = new.encode()
        return self

    def write(self, root=True):
        """root: also a root that holds. Else the one that was signed stays."""
        trailer = len(self.data) - fs_image.TRAILER_SIZE
        digests, size = self.image.digests_start, self.image.trailer["chunk_size"]
        for number, start in enumerate(range(self.image.index_start, self.image.index_end, size)):
            chunk = self.data[start : min(start + size, self.image.index_end)]
            self._put(digests + 32 * number, chunk)
        self._put(trailer + _CHUNK_TABLE_DIGEST, self.data[digests : self.image.digests_end])
        start = self.image.image_offset + self.image.trailer["manifest_offset"]
        manifest = self.data[start : start + self.image.trailer["manifest_size"]]
        self._put(trailer + _MANIFEST_DIGEST, manifest)
        if root:
            self._put(trailer + _ROOT, self.data[trailer : trailer + _ROOT])
        self.bundle.write_bytes(self.data)
        return self.bundle

    def _put(self, at, data):
        self.data[at : at + 32] = hashlib.sha256(data).digest()
