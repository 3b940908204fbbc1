// The kernel's side of FUSE, for tests that play it.
#pragma once

#include <linux/fuse.h>

#include <cstdint>
#include <cstring>
#include <vector>

namespace haft {

// The bytes of a request about the root, as linux/fuse.h lays them out.
template <typename Body>
std::vector<char> FuseRequest(std::uint32_t opcode, std::uint64_t unique, const Body& body) {
  std::vector<char> bytes(sizeof(fuse_in_header) + sizeof body);
  fuse_in_header header = {};
  header.len = static_cast<std::uint32_t>(bytes.size());
  header.opcode = opcode;
  header.unique = unique;
  header.nodeid = FUSE_ROOT_ID;
  std::memcpy(bytes.data(), &header, sizeof header);
  std::memcpy(bytes.data() + sizeof header, &body, sizeof body);
  return bytes;
}

}  // namespace haft
