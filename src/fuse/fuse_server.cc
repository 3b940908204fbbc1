#include "haft/fuse/fuse_server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <system_error>
#include <thread>
#include <vector>

#include "file_system.h"
#include "fuse_channel.h"
#include "fuse_operations.h"
#include "haft/base/file_io.h"
#include "haft/base/log.h"
#include "haft/base/mutex.h"
#include "haft/base/text.h"
#include "haft/fuse/request_log.h"
#include "haft/fuse/shared_state.h"

namespace haft {
namespace {

struct DestroySession {
  void operator()(fuse_session* session) const { fuse_session_destroy(session); }
};

// libfuse's own diagnostics, which would go to standard error.
void LogFromFuse(fuse_log_level level, const char* format, va_list arguments) {
  if (level > FUSE_LOG_ERR && !LogEnabled(LogLevel::kDebug)) return;
  char line[512];
  int size = std::vsnprintf(line, sizeof line, format, arguments);
  std::string_view text(line, std::clamp<std::size_t>(static_cast<std::size_t>(std::max(size, 0)),
                                                      0, sizeof line - 1));
  while (text.ends_with('\n')) text.remove_suffix(1);
  LogLine(level > FUSE_LOG_ERR ? LogLevel::kDebug : LogLevel::kWarning, text);
}

// What libfuse and fusermount3 write to standard error, to be told in our own words.
class CaptureStandardError {
 public:
  CaptureStandardError()
      : text_(::memfd_create("haft-stderr", MFD_CLOEXEC)),
        saved_(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)) {
    if (text_ && saved_) ::dup2(text_.get(), STDERR_FILENO);
  }
  ~CaptureStandardError() { End(); }
  CaptureStandardError(const CaptureStandardError&) = delete;
  CaptureStandardError& operator=(const CaptureStandardError&) = delete;

  // Restores standard error; the last line that was written, without its newline.
  std::string End() {
    if (saved_) ::dup2(saved_.get(), STDERR_FILENO);
    saved_.Reset();
    std::array<char, 1024> buffer;
    ssize_t size = text_ ? ::pread(text_.get(), buffer.data(), buffer.size(), 0) : 0;
    text_.Reset();
    return std::string(
        LastLine({buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))}));
  }

 private:
  UniqueFd text_;
  UniqueFd saved_;
};

unsigned ThreadLimit(unsigned wanted) {
  unsigned limit = wanted != 0 ? wanted : std::clamp(std::thread::hardware_concurrency(), 2u, 4u);
  return std::min<unsigned>(limit, SharedServerState::kSlots);
}

// Linux 6.9, which the headers and libfuse may not know yet.
constexpr std::uint32_t kHasResend2 = 1u << 7;  // FUSE_HAS_RESEND in flags2
constexpr std::int32_t kNotifyResend = 7;       // FUSE_NOTIFY_RESEND
// Set in the number of a request that is sent again; the answer carries it as it came.
constexpr std::uint64_t kResent = std::uint64_t{1} << 63;

const fuse_in_header& HeaderOf(const fuse_buf& buffer) {
  return *static_cast<const fuse_in_header*>(buffer.mem);
}
std::uint64_t NumberOf(const fuse_buf& buffer) {
  return HeaderOf(buffer).unique & ~kResent;
}

}  // namespace

// Leader and followers: one thread at a time, the leader, reads requests, and it stays leader while
// it answers them. It gives the lead away before slow work; then another thread, which is started
// only now, reads on.
struct FuseServer::Impl {
  FileSystem file_system;
  ServerOptions options;
  bool mounted_here = false;  // by MountOn()
  bool can_resend = false;
  const unsigned most_threads;
  bool prepared = false;
  bool several_cpus = false;  // set by Prepare()
  SharedServerState* shared = nullptr;
  std::unique_ptr<fuse_session, DestroySession> session;

  Mutex mutex;
  Condition lead_is_free;
  bool has_leader HAFT_GUARDED_BY(mutex) = false;
  unsigned waiting HAFT_GUARDED_BY(mutex) = 0;
  std::vector<std::jthread> helpers HAFT_GUARDED_BY(mutex);

  Impl(ImageReader reader, const ServerOptions& server_options)
      : file_system(std::move(reader), server_options),
        options(server_options),
        most_threads(ThreadLimit(server_options.threads)) {}

  void Loop(std::size_t slot);
  void Answer(fuse_buf& buffer, std::size_t slot);
  bool TakeLead();
  void GiveLeadAway();
  void BeforeSlowWork(SlowWork work);
  bool leading() const { return led == this; }

 private:
  // The server that this thread leads, if any.
  static thread_local const Impl* led;
};

thread_local const FuseServer::Impl* FuseServer::Impl::led = nullptr;

namespace {

// Waiting for the next request awake, for a short time. A process that reads much asks again some
// ten microseconds after an answer; until then the server's CPU would have gone to sleep, and
// waking it takes longer than most answers. Only while requests do follow one another that closely,
// and there is another CPU for whoever asks.
class AwakeWait {
 public:
  explicit AwakeWait(bool possible) : possible_(possible) {}

  // Returns when there is something to read, or it has waited long enough.
  void Before(int device) {
    began_ = Clock::now();
    if (!possible_ || !close_) return;
    pollfd queue{.fd = device, .events = POLLIN};
    while (::poll(&queue, 1, 0) == 0 && Clock::now() - began_ < kAwake) {
    }
  }
  // When the request is there.
  void After() { close_ = Clock::now() - began_ < kClose; }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::microseconds kAwake{60};   // at most
  static constexpr std::chrono::microseconds kClose{100};  // from an answer to the next request

  const bool possible_;
  bool close_ = false;
  Clock::time_point began_ = {};
};

}  // namespace

Result<FuseServer> FuseServer::Create(ImageReader reader, const ServerOptions& options) {
  fuse_set_log_func(LogFromFuse);
  auto impl = std::make_unique<Impl>(std::move(reader), options);
  std::vector<std::string> words = {
      "haft", "-oro,nosuid,nodev,default_permissions,fsname=haft,subtype=haft"};
  if (options.allow_other) words.back() += ",allow_other";
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  fuse_args arguments = FUSE_ARGS_INIT(static_cast<int>(argv.size()), argv.data());
  const fuse_lowlevel_ops& operations = FuseOperations();
  impl->session.reset(
      fuse_session_new(&arguments, &operations, sizeof operations, &impl->file_system));
  fuse_opt_free_args(&arguments);
  if (!impl->session)
    return Failure(Error(ErrorKind::kSystem, "libfuse refused to make a session"));
  return FuseServer(std::move(impl));
}

FuseServer::FuseServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FuseServer::FuseServer(FuseServer&&) noexcept = default;

FuseServer::~FuseServer() {
  if (impl_ && impl_->mounted_here) fuse_session_unmount(impl_->session.get());
}

Result<> FuseServer::Attach(UniqueFd device) {
  TRY(ConnectSession(impl_->session.get(), device.get()));
  static_cast<void>(device.Release());  // the session closes it
  return {};
}

Result<> FuseServer::MountOn(const std::string& directory) {
  CaptureStandardError capture;
  errno = 0;
  int failed = fuse_session_mount(impl_->session.get(), directory.c_str());
  int saved = errno;
  std::string said = capture.End();
  if (failed == 0) {
    impl_->mounted_here = true;
    return ConnectSession(impl_->session.get(), device());
  }
  Error error = saved != 0 && said.empty()
                    ? Error::FromErrno("mount", saved)
                    : Error(ErrorKind::kSystem, said.empty() ? "mount: refused" : said);
  error = std::move(error).Within(Quoted(directory));
  if (::geteuid() == 0) return Failure(std::move(error));
  return Failure(std::move(error).Remedy(
      "an ordinary user needs the fuse3 package (fusermount3) and /dev/fuse"));
}

const ImageReader& FuseServer::image() const {
  return impl_->file_system.reader();
}
const ServerOptions& FuseServer::options() const {
  return impl_->options;
}

int FuseServer::device() const {
  return fuse_session_fd(impl_->session.get());
}

void FuseServer::ShareState(SharedServerState* shared) {
  impl_->shared = shared;
  impl_->file_system.ShareState(shared);
}

Result<bool> FuseServer::Initialize() {
  fuse_buf buffer = {};
  auto free_buffer = [](void* memory) { std::free(memory); };
  bool done = false;
  while (!done) {
    int size = fuse_session_receive_buf(impl_->session.get(), &buffer);
    if (size == -EINTR || size == -EAGAIN) continue;
    std::unique_ptr<void, decltype(free_buffer)> memory(std::exchange(buffer.mem, nullptr),
                                                        free_buffer);
    if (size < 0) return Failure(Error::FromErrno("/dev/fuse", -size));
    if (size == 0) return false;
    buffer.mem = memory.get();
    if (HeaderOf(buffer).opcode == FUSE_INIT &&
        static_cast<std::size_t>(size) >= sizeof(fuse_in_header) + sizeof(fuse_init_in)) {
      auto init = reinterpret_cast<const fuse_init_in*>(&HeaderOf(buffer) + 1);
      impl_->can_resend = (init->flags & FUSE_INIT_EXT) != 0 && (init->flags2 & kHasResend2) != 0;
    }
    done = HeaderOf(buffer).opcode == FUSE_INIT;
    ProcessRequest(impl_->session.get(), buffer);
    buffer = {};
  }
  return fuse_session_exited(impl_->session.get()) == 0;
}

bool FuseServer::can_resend() const {
  return impl_->can_resend;
}

Result<> FuseServer::Resend() {
  // A notification: number 0 and a positive "error".
  fuse_out_header header{.len = sizeof header, .error = kNotifyResend, .unique = 0};
  return WriteAll(device(), std::as_bytes(std::span(&header, 1)));
}

void FuseServer::Prepare() {
  Impl& impl = *impl_;
  impl.prepared = true;
  impl.file_system.statistics().OpenProcessFile();
  cpu_set_t cpus;
  impl.several_cpus =
      ::sched_getaffinity(0, sizeof cpus, &cpus) < 0 || CPU_COUNT(&cpus) > 1 ||
      (impl.shared != nullptr && impl.shared->prefetching);  // which has put it on one, for a while
}

Result<> FuseServer::Run() {
  Impl& impl = *impl_;
  if (!impl.prepared) Prepare();
  impl.file_system.FindStatsDirectory();
  impl.file_system.reader().SetSlowWorkHook([&impl](SlowWork work) { impl.BeforeSlowWork(work); });
  if (impl.several_cpus && !RecordsRequests()) impl.file_system.StartPrefetch();
  impl.Loop(0);
  std::vector<std::jthread> helpers;
  {
    MutexLock lock(impl.mutex);
    helpers = std::move(impl.helpers);  // the session is over: nobody starts another one
  }
  helpers.clear();  // joins them
  impl.file_system.StopPrefetch();
  return {};
}

// False: the file system is unmounted.
bool FuseServer::Impl::TakeLead() {
  if (leading()) return fuse_session_exited(session.get()) == 0;
  MutexLock lock(mutex);
  ++waiting;
  while (has_leader) lead_is_free.Wait(lock);
  --waiting;
  has_leader = true;
  led = this;
  return fuse_session_exited(session.get()) == 0;
}

void FuseServer::Impl::GiveLeadAway() {
  MutexLock lock(mutex);
  has_leader = false;
  led = nullptr;
  if (waiting == 0 && helpers.size() + 1 < most_threads &&
      fuse_session_exited(session.get()) == 0) {
    try {
      helpers.emplace_back([this, slot = helpers.size() + 1] { Loop(slot); });
    } catch (const std::system_error&) {  // RLIMIT_NPROC, pids.max: this thread goes on when its
                                          // slow work is done
    }
  }
  lock.Unlock();
  lead_is_free.NotifyOne();
}

void FuseServer::Impl::BeforeSlowWork(SlowWork work) {
  if (!leading()) return;
  if (work == SlowWork::kDecode) {
    pollfd queue{.fd = fuse_session_fd(session.get()), .events = POLLIN};
    if (::poll(&queue, 1, 0) <= 0) return;  // nobody waits
  }
  file_system.statistics().CountHandOver();
  GiveLeadAway();
}

void FuseServer::Impl::Answer(fuse_buf& buffer, std::size_t slot) {
  if (shared == nullptr) return ProcessRequest(session.get(), buffer);
  std::uint64_t number = NumberOf(buffer);
  shared->in_flight[slot] = number;
  if (std::ranges::any_of(shared->refused,
                          [&](const auto& refused) { return refused == number; })) {
    AnswerError(fuse_session_fd(session.get()), HeaderOf(buffer).unique, EIO);
  } else {
    ProcessRequest(session.get(), buffer);
  }
  shared->in_flight[slot] = 0;
  ++shared->answered;
}

void FuseServer::Impl::Loop(std::size_t slot) {
  fuse_buf buffer = {};
  AwakeWait wait(several_cpus);
  bool beside_program = shared != nullptr && shared->cpus;
  while (TakeLead()) {
    if (beside_program && !shared->prefetching) {
      shared->cpus.Release();
      beside_program = false;
    }
    // The prefetch may be on our CPU.
    if (!beside_program) wait.Before(fuse_session_fd(session.get()));
    int size = fuse_session_receive_buf(session.get(), &buffer);
    if (size == -EINTR || size == -EAGAIN) continue;
    wait.After();
    if (size <= 0) {  // 0: unmounted. Anything else cannot be repaired; the kernel answers ENOTCONN
                      // from then on.
      if (size < 0)
        Log(LogLevel::kError, "{}", Error::FromErrno("read /dev/fuse", -size).message());
      fuse_session_exit(session.get());
      break;
    }
    Answer(buffer, slot);
  }
  if (leading()) GiveLeadAway();  // wakes the next thread, which sees that the session is over
  std::free(buffer.mem);
}

}  // namespace haft
