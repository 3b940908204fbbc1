#include "haft/fuse/request_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "haft/base/file_io.h"
#include "haft/base/process.h"
#include "haft/base/text.h"
#include "haft/base/variables.h"

namespace haft {

struct RequestLog::Header {
  static constexpr std::uint64_t kMagic = 0x31474F4C54464148;  // "HAFTLOG1"

  std::uint64_t magic;
  std::uint64_t capacity;
  std::atomic<std::uint64_t> next;  // number of the next record, also beyond the capacity
  std::uint64_t reserved[13];
};

namespace {

constexpr unsigned kSeals = F_SEAL_SHRINK | F_SEAL_GROW;

// Of this process. Set once, before the server's threads exist, and inherited through fork.
std::optional<RequestLog> active;
// The record of the RequestSpan that this thread is in: libfuse's callbacks and the block cache
// have no parameter for it.
thread_local RequestRecord* current_record = nullptr;

// The end of a record is what another process waits for.
void Publish(std::uint64_t& place, std::uint64_t value) {
  std::atomic_ref(place).store(value, std::memory_order_release);
}
std::uint64_t Observe(const std::uint64_t& place) {
  return std::atomic_ref(const_cast<std::uint64_t&>(place)).load(std::memory_order_acquire);
}

Result<void*> MapShared(int fd, std::size_t size) {
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return Failure(Error::FromErrno("map the request log"));
  return memory;
}

}  // namespace

Result<RequestLog> RequestLog::Create(std::size_t capacity) {
  static_assert(sizeof(Header) == sizeof(RequestRecord));
  std::size_t size = (capacity + 1) * sizeof(RequestRecord);
  UniqueFd fd(::memfd_create("haft-request-log", MFD_ALLOW_SEALING));  // inherited on purpose
  if (!fd) return Failure(Error::FromErrno("memfd_create"));
  if (::ftruncate(fd.get(), static_cast<off_t>(size)) < 0 ||
      ::fcntl(fd.get(), F_ADD_SEALS, kSeals) < 0) {
    return Failure(Error::FromErrno("make the request log"));
  }
  void* memory = TRY(MapShared(fd.get(), size));
  RequestLog log(std::move(fd), memory, size);
  log.header().magic = Header::kMagic;
  log.header().capacity = capacity;
  return log;
}

Result<RequestLog> RequestLog::Open(UniqueFd fd) {
  auto refuse = [] { return Failure(Error::Invalid("not a request log of 'haft trace'")); };
  int seals = ::fcntl(fd.get(), F_GET_SEALS);
  auto size = FileSize(fd.get());
  if (seals < 0 || (static_cast<unsigned>(seals) & kSeals) != kSeals || !size ||
      *size < sizeof(RequestRecord)) {
    return refuse();
  }
  void* memory = TRY(MapShared(fd.get(), *size));
  RequestLog log(std::move(fd), memory, *size);
  if (log.header().magic != Header::kMagic ||
      log.header().capacity > *size / sizeof(RequestRecord) - 1) {
    return refuse();
  }
  return log;
}

RequestLog::RequestLog(RequestLog&& other) noexcept
    : fd_(std::move(other.fd_)),
      memory_(std::exchange(other.memory_, nullptr)),
      size_(other.size_) {}

RequestLog::~RequestLog() {
  if (memory_ != nullptr) ::munmap(memory_, size_);
}

// By the size of the mapping, not by what the shared header says.
std::span<RequestRecord> RequestLog::room() const {
  return {static_cast<RequestRecord*>(memory_) + 1, size_ / sizeof(RequestRecord) - 1};
}

std::span<const RequestRecord> RequestLog::Written() const {
  return room().first(std::min<std::size_t>(header().next.load(), room().size()));
}

std::vector<RequestRecord> RequestLog::Records() const {
  std::vector<RequestRecord> records;
  for (const RequestRecord& record : Written()) {
    if (Observe(record.end) != 0) records.push_back(record);
  }
  std::ranges::stable_sort(records, {}, &RequestRecord::begin);
  return records;
}

bool RequestLog::Busy() const {
  return std::ranges::any_of(Written(),
                             [](const RequestRecord& record) { return Observe(record.end) == 0; });
}

std::uint64_t RequestLog::dropped() const {
  std::uint64_t next = header().next.load();
  return next - std::min<std::uint64_t>(next, room().size());
}

RequestRecord* RequestLog::Add() {
  std::uint64_t number = header().next.fetch_add(1);
  return number < room().size() ? &room()[number] : nullptr;
}

Result<> RecordRequests(std::string_view descriptor) {
  constexpr std::string_view kVariable = variables::kTraceLog;
  const int number = ToNumber<int>(descriptor).value_or(-1);
  if (number <= STDERR_FILENO) {
    return Failure(
        Error::Invalid(fmt::format("{}: {} is no descriptor", kVariable, Quoted(descriptor)))
            .Remedy("unset it; 'haft trace' sets it"));
  }
  if (::fcntl(number, F_GETFD) < 0) return Failure(Error::FromErrno(kVariable).Remedy("unset it"));
  auto log = RequestLog::Open(UniqueFd(number));
  if (!log)
    return Failure(
        std::move(log).error().Within(kVariable).Remedy("unset it; 'haft trace' sets it"));
  active.emplace(*std::move(log));
  static_cast<void>(::fcntl(active->fd(), F_SETFD, FD_CLOEXEC));
  return {};
}

bool RecordsRequests() {
  return active.has_value();
}

RequestRecord* CurrentRequest() {
  return current_record;
}

RequestSpan::RequestSpan(std::uint8_t operation, std::int32_t requester)
    : record_(active ? active->Add() : nullptr) {
  if (record_ == nullptr) return;
  static thread_local const auto thread = static_cast<std::int32_t>(::syscall(SYS_gettid));
  record_->operation = operation;
  record_->requester = requester;
  record_->server = thread;
  record_->first_block = RequestRecord::kNoBlock;
  record_->begin = MonotonicNow();
  current_record = record_;
}

RequestSpan::~RequestSpan() {
  if (record_ == nullptr) return;
  Publish(record_->end, MonotonicNow());
  current_record = nullptr;
}

}  // namespace haft
