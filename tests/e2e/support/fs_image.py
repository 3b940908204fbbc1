"""Reads a bundle as docs/format.md describes it, independently of haft: where its parts are, and
which files need which block. For the tests that damage bundles on purpose."""

import stat
import struct

TRAILER_SIZE = 384
DIGEST_SIZE = 32
HEADER_SIZE = 64
HOLE = (1 << 32) - 1
_TRAILER = struct.Struct("<8sHHIII15QIIII32s32s32s32s64s32s")
_INODE = struct.Struct("<IIQqIIQQIIQ")
_EXTENT = struct.Struct("<QQII")
_BLOCK = struct.Struct("<QII32sB7s")
_FIELDS = [
    "magic",
    "major",
    "minor",
    "trailer_size",
    "incompatible",
    "compatible",
    "image_size",
    "runtime_size",
    "index_offset",
    "inode_count",
    "extent_count",
    "block_count",
    "string_size",
    "manifest_offset",
    "manifest_size",
    "profile_offset",
    "profile_size",
    "security_offset",
    "signature_size",
    "file_count",
    "content_size",
    "block_size",
    "chunk_size",
    "hash",
    "reserved",
    "chunk_table_digest",
    "manifest_digest",
    "profile_digest",
    "runtime_digest",
    "reserved2",
    "root",
]


class Part:
    """A named run of bytes of the file."""

    def __init__(self, name, start, end):
        self.name, self.start, self.end = name, start, end

    def __repr__(self):
        return f"{self.name} [{self.start}, {self.end})"


class Image:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        self.size = len(self.data)
        trailer = _TRAILER.unpack(self.data[-TRAILER_SIZE:])
        self.trailer = dict(zip(_FIELDS, trailer))
        assert (
            self.trailer["magic"] == b"\x7fHAFTEND" and self.trailer["trailer_size"] == TRAILER_SIZE
        )
        self.image_offset = self.size - self.trailer["image_size"]
        self._read_index()

    def _read_index(self):
        t = self.trailer
        base = self.image_offset + t["index_offset"]
        self.index_start = base
        extents = base + t["inode_count"] * _INODE.size
        blocks = extents + t["extent_count"] * _EXTENT.size
        strings = blocks + t["block_count"] * _BLOCK.size
        self.index_end = (strings + t["string_size"] + 7) // 8 * 8
        chunks = -(-(self.index_end - base) // t["chunk_size"])
        self.digests_start = self.image_offset + t["security_offset"]
        self.digests_end = self.digests_start + DIGEST_SIZE * chunks
        self.string_start = strings
        self.inodes = [
            _INODE.unpack_from(self.data, base + i * _INODE.size) for i in range(t["inode_count"])
        ]
        self.extents = [
            _EXTENT.unpack_from(self.data, extents + i * _EXTENT.size)
            for i in range(t["extent_count"])
        ]
        self.blocks = [
            _BLOCK.unpack_from(self.data, blocks + i * _BLOCK.size) for i in range(t["block_count"])
        ]

    def parts(self):
        """The parts of the file in order, paddings as well; together they are all its bytes."""
        t = self.trailer
        at = self.image_offset
        found = []
        position = 0

        def add(name, start, end):
            nonlocal position
            assert start >= position, (name, start, position)
            if start > position:
                found.append(Part("padding before " + name, position, start))
            if end > start:
                found.append(Part(name, start, end))
            position = end

        add("runtime", 0, t["runtime_size"])
        add("header", at, at + HEADER_SIZE)
        if self.blocks:
            last = self.blocks[-1]
            add("blocks", at + self.blocks[0][0], at + last[0] + last[1])
        add("index", self.index_start, self.index_end)
        add("manifest", at + t["manifest_offset"], at + t["manifest_offset"] + t["manifest_size"])
        add("profile", at + t["profile_offset"], at + t["profile_offset"] + t["profile_size"])
        add("chunk digests", self.digests_start, self.digests_end)
        add("signatures", self.digests_end, self.digests_end + t["signature_size"])
        add("trailer", self.size - TRAILER_SIZE, self.size)
        return found

    def path_of(self, row):
        parts = []
        while row:
            inode = self.inodes[row]
            name = self.string_start + inode[6]
            parts.append(self.data[name : name + inode[5]])
            row = inode[1]
        return b"/".join(reversed(parts))

    def files_of_block(self, number):
        """Paths (bytes, below the root of the image) of the files that need block `number`."""
        found = set()
        for row, inode in enumerate(self.inodes):
            if not stat.S_ISREG(inode[0]):
                continue
            for _, length, block, block_offset in self.extents[inode[7] : inode[7] + inode[8]]:
                if block == HOLE or number < block:
                    continue
                have, current = self.blocks[block][2] - block_offset, block
                while have < length:
                    current += 1
                    have += self.blocks[current][2]
                if number <= current:
                    found.add(self.path_of(row))
        return found

    def block_at(self, offset):
        """Number of the block that holds byte `offset` of the file."""
        at = offset - self.image_offset
        for number, block in enumerate(self.blocks):
            if block[0] <= at < block[0] + block[1]:
                return number
        raise LookupError(offset)
