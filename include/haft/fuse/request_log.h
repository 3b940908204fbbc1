// What a traced server was asked: a bounded list of records in memory that the server shares with
// whoever traces it.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "haft/base/error.h"
#include "haft/base/unique_fd.h"
#include "haft/fuse/operation.h"

namespace haft {

// One request. Times are CLOCK_MONOTONIC in nanoseconds; inodes are FUSE's numbers (row + 1).
struct RequestRecord {
  static constexpr std::uint32_t kNoBlock = 0xFFFFFFFF;
  static constexpr std::size_t kNameSize = 52;

  std::uint64_t begin;        // 0: the record is not written yet
  std::uint64_t end;          // 0: not answered yet
  std::uint64_t inode;        // asked about; of a look-up: the directory
  std::uint64_t found;        // look-up: the inode found, 0 none
  std::uint64_t offset;       // read, listing
  std::uint32_t size;         // bytes asked for
  std::uint32_t replied;      // bytes of contents sent
  std::uint32_t first_block;  // kNoBlock: needed none
  std::uint16_t blocks;       // how many, from first_block on
  std::uint16_t decoded;      // of them, the ones that were not in the server's cache
  std::uint32_t decode_time;  // nanoseconds, reading the stored bytes included
  std::int32_t requester;     // thread that asked; 0: none (read-ahead of the kernel)
  std::int32_t server;        // thread that answered
  std::uint8_t operation;     // see OperationName
  std::uint8_t reserved[3];
  char name[kNameSize];  // look-up: the name; a longer one is cut, else it ends with a zero byte
  std::uint32_t reserved2;
};
static_assert(sizeof(RequestRecord) == 128);

// The shared memory. Writers are the threads of a server, which inherits the mapping from the
// process that opened it; the reader may look at any time. Records beyond the capacity are counted
// and dropped. Memory is used as records are written.
class RequestLog {
 public:
  static constexpr std::size_t kDefaultCapacity = 1u << 20;

  // A new, empty log. Its descriptor is inherited by children: hand its number to the traced start.
  static Result<RequestLog> Create(std::size_t capacity = kDefaultCapacity);
  // The log behind a descriptor that somebody handed over. Refuses what is none, and what could be
  // cut off under the mapping.
  static Result<RequestLog> Open(UniqueFd fd);

  RequestLog(RequestLog&& other) noexcept;
  RequestLog& operator=(RequestLog&&) = delete;
  ~RequestLog();

  int fd() const { return fd_.get(); }
  // A copy of what is complete so far, ordered by begin.
  std::vector<RequestRecord> Records() const;
  // True while a request is being answered.
  bool Busy() const;
  std::uint64_t dropped() const;

  // A fresh record; nullptr if there is no room.
  RequestRecord* Add();

 private:
  struct Header;
  RequestLog(UniqueFd fd, void* memory, std::size_t size)
      : fd_(std::move(fd)), memory_(memory), size_(size) {}
  Header& header() const { return *static_cast<Header*>(memory_); }
  std::span<RequestRecord> room() const;
  std::span<const RequestRecord> Written() const;

  UniqueFd fd_;
  void* memory_;
  std::size_t size_;
};

// Makes servers that this process becomes or forks later record what they are asked. `descriptor`:
// the number of an inherited descriptor of a RequestLog, which is closed (the mapping stays).
Result<> RecordRequests(std::string_view descriptor);

// The record of the request that this thread answers; nullptr if it is not recorded.
RequestRecord* CurrentRequest();

// Records one request from construction to destruction, if requests are recorded at all. Meanwhile
// its record is this thread's CurrentRequest().
class RequestSpan {
 public:
  RequestSpan(std::uint8_t operation, std::int32_t requester);
  ~RequestSpan();
  RequestSpan(const RequestSpan&) = delete;
  RequestSpan& operator=(const RequestSpan&) = delete;

 private:
  RequestRecord* const record_;  // nullptr: not recorded
};

// Whether RecordRequests() was called.
bool RecordsRequests();

}  // namespace haft
