#include "haft/base/mapped_file.h"

#include <signal.h>
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <mutex>
#include <utility>

namespace haft {
namespace {

// What the signal handler may look at: lock-free, fixed size. begin == 0 marks a free slot.
struct Slot {
  std::atomic<std::uintptr_t> begin{0};
  std::atomic<std::uintptr_t> end{0};
  std::atomic<bool> damaged{false};
};
std::array<Slot, 16> slots;
std::mutex slots_mutex;
struct sigaction previous_action;
constexpr std::uintptr_t kPage = 4096;
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free);

// A page of a mapping is gone: put zeros in its place, remember it, and let the read go on.
void OnBusError(int signal, siginfo_t* info, void* context) {
  auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  bool is_fault = info->si_code > 0;  // else some process has sent it
  for (Slot& slot : slots) {
    std::uintptr_t begin = slot.begin.load();
    if (!is_fault || begin == 0 || address < begin || address >= slot.end.load()) continue;
    slot.damaged.store(true);
    void* page = reinterpret_cast<void*>(address & ~(kPage - 1));
    int saved = errno;
    void* zeros = ::mmap(page, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    errno = saved;
    if (zeros != MAP_FAILED) return;
  }
  // Not ours: behave as if this handler did not exist.
  if ((previous_action.sa_flags & SA_SIGINFO) != 0 && previous_action.sa_sigaction != nullptr) {
    previous_action.sa_sigaction(signal, info, context);
    return;
  }
  ::sigaction(SIGBUS, &previous_action, nullptr);
  if (!is_fault) ::raise(signal);  // a fault repeats itself
}

void InstallHandlerOnce() {
  static const bool installed = [] {
    struct sigaction action = {};
    action.sa_sigaction = OnBusError;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    return ::sigaction(SIGBUS, &action, &previous_action) == 0;
  }();
  static_cast<void>(installed);
}

}  // namespace

Result<MappedFile> MappedFile::Map(int fd, std::uint64_t offset, std::size_t length) {
  InstallHandlerOnce();
  MappedFile file;
  if (length == 0) return file;
  void* data = ::mmap(nullptr, length, PROT_READ, MAP_SHARED, fd, static_cast<off_t>(offset));
  if (data == MAP_FAILED) return Failure(Error::FromErrno("mmap"));
  file.data_ = static_cast<const std::byte*>(data);
  file.length_ = length;
  std::scoped_lock lock(slots_mutex);
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (slots[i].begin.load() != 0) continue;
    auto begin = reinterpret_cast<std::uintptr_t>(data);
    slots[i].damaged.store(false);
    slots[i].end.store((begin + length + kPage - 1) & ~(kPage - 1));
    slots[i].begin.store(begin);
    file.slot_ = static_cast<int>(i);
    return file;
  }
  return Failure(Error(ErrorKind::kUnsupported, "too many mapped files"));
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      length_(std::exchange(other.length_, 0)),
      slot_(std::exchange(other.slot_, -1)) {}

MappedFile& MappedFile::operator=(MappedFile other) noexcept {
  std::swap(data_, other.data_);
  std::swap(length_, other.length_);
  std::swap(slot_, other.slot_);
  return *this;
}

MappedFile::~MappedFile() {
  if (slot_ >= 0) slots[static_cast<std::size_t>(slot_)].begin.store(0);
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), length_);
}

bool MappedFile::damaged() const {
  return slot_ >= 0 &&
         slots[static_cast<std::size_t>(slot_)].damaged.load(std::memory_order_relaxed);
}

}  // namespace haft
