// How the file system tells the request log what a request is about. Each does nothing unless the
// request that this thread answers is recorded.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "haft/fuse/request_log.h"
#include "haft/image/image_reader.h"

namespace haft {

inline void NoteInode(std::uint64_t inode) {
  if (RequestRecord* record = CurrentRequest()) record->inode = inode;
}

inline void NoteName(std::uint64_t directory, const char* name) {
  RequestRecord* record = CurrentRequest();
  if (record == nullptr) return;
  record->inode = directory;
  std::memcpy(record->name, name, ::strnlen(name, RequestRecord::kNameSize));
}

inline void NoteFound(std::uint64_t inode) {
  if (RequestRecord* record = CurrentRequest()) record->found = inode;
}

inline void NoteRange(std::uint64_t inode, std::uint64_t offset, std::size_t size) {
  RequestRecord* record = CurrentRequest();
  if (record == nullptr) return;
  record->inode = inode;
  record->offset = offset;
  record->size = static_cast<std::uint32_t>(size);
}

inline void NoteReplied(std::size_t bytes) {
  if (RequestRecord* record = CurrentRequest()) record->replied = static_cast<std::uint32_t>(bytes);
}

inline void NoteBlock(const BlockUse& use) {
  RequestRecord* record = CurrentRequest();
  if (record == nullptr) return;
  if (record->blocks == 0) record->first_block = use.block;
  ++record->blocks;
  if (!use.decoded) return;
  ++record->decoded;
  record->decode_time +=
      static_cast<std::uint32_t>(std::min<std::int64_t>(use.took.count(), 0x7FFFFFFF));
}

}  // namespace haft
