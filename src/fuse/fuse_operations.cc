#include "fuse_operations.h"

#include <errno.h>

#include <new>
#include <span>
#include <utility>

#include "haft/fuse/request_log.h"
#include "server_statistics.h"

namespace haft {
namespace {

FileSystem& Self(fuse_req_t request) {
  return *static_cast<FileSystem*>(fuse_req_userdata(request));
}

// Counts, and keeps exceptions (only std::bad_alloc is left) from crossing C code.
template <typename Body>
void Serve(fuse_req_t request, Operation operation, Body body) noexcept {
  FileSystem& self = Self(request);
  self.statistics().Count(operation);
  RequestSpan span(std::to_underlying(operation), fuse_req_ctx(request)->pid);
  try {
    body(self);
  } catch (const std::bad_alloc&) {
    fuse_reply_err(request, ENOMEM);
  }
}

void Init(void*, fuse_conn_info* connection) {
  auto want = [&](unsigned flag) { connection->want |= connection->capable & flag; };
  want(FUSE_CAP_ASYNC_READ);
  want(FUSE_CAP_PARALLEL_DIROPS);
  want(FUSE_CAP_READDIRPLUS);
  connection->want &= ~static_cast<unsigned>(FUSE_CAP_READDIRPLUS_AUTO);  // always "plus"
  want(FUSE_CAP_NO_OPEN_SUPPORT);
  want(FUSE_CAP_NO_OPENDIR_SUPPORT);
  want(FUSE_CAP_CACHE_SYMLINKS);
  connection->want &= ~static_cast<unsigned>(FUSE_CAP_AUTO_INVAL_DATA);
  want(FUSE_CAP_EXPLICIT_INVAL_DATA);
  // Replies are written from the cached block with one writev; splicing would be three calls.
  connection->want &=
      ~static_cast<unsigned>(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
  connection->max_background = 64;
  connection->congestion_threshold = 48;
  connection->time_gran = 1;
}

template <Operation kOperation>
void NotSupported(fuse_req_t request) {
  Serve(request, kOperation, [&](FileSystem&) { fuse_reply_err(request, ENOSYS); });
}

}  // namespace

// Long: a table, one entry per operation.
const fuse_lowlevel_ops& FuseOperations() {
  static const fuse_lowlevel_ops operations = {
      .init = Init,
      .lookup =
          [](fuse_req_t request, fuse_ino_t parent, const char* name) {
            Serve(request, Operation::kLookup,
                  [&](FileSystem& self) { self.Lookup(request, parent, name); });
          },
      .forget =
          [](fuse_req_t request, fuse_ino_t inode, std::uint64_t count) {
            Self(request).statistics().Count(Operation::kForget);
            Self(request).Forget(inode, count);
            fuse_reply_none(request);
          },
      .getattr =
          [](fuse_req_t request, fuse_ino_t inode, fuse_file_info*) {
            Serve(request, Operation::kGetattr,
                  [&](FileSystem& self) { self.Getattr(request, inode); });
          },
      .readlink =
          [](fuse_req_t request, fuse_ino_t inode) {
            Serve(request, Operation::kReadlink,
                  [&](FileSystem& self) { self.Readlink(request, inode); });
          },
      // ENOSYS to open and opendir: the kernel never asks again, and sends no release either.
      .open = [](fuse_req_t request, fuse_ino_t,
                 fuse_file_info*) { NotSupported<Operation::kOpen>(request); },
      .read =
          [](fuse_req_t request, fuse_ino_t inode, std::size_t size, off_t offset,
             fuse_file_info*) {
            Serve(request, Operation::kRead,
                  [&](FileSystem& self) { self.Read(request, inode, size, offset); });
          },
      .flush = [](fuse_req_t request, fuse_ino_t,
                  fuse_file_info*) { NotSupported<Operation::kFlush>(request); },
      .release = [](fuse_req_t request, fuse_ino_t,
                    fuse_file_info*) { NotSupported<Operation::kRelease>(request); },
      .opendir = [](fuse_req_t request, fuse_ino_t,
                    fuse_file_info*) { NotSupported<Operation::kOpendir>(request); },
      .readdir =
          [](fuse_req_t request, fuse_ino_t inode, std::size_t size, off_t offset,
             fuse_file_info*) {
            Serve(request, Operation::kReaddir,
                  [&](FileSystem& self) { self.Readdir(request, inode, size, offset, false); });
          },
      .releasedir = [](fuse_req_t request, fuse_ino_t,
                       fuse_file_info*) { NotSupported<Operation::kReleasedir>(request); },
      .statfs =
          [](fuse_req_t request, fuse_ino_t) {
            Serve(request, Operation::kStatfs, [&](FileSystem& self) { self.Statfs(request); });
          },
      // Python asks every file it opens whether it is a terminal.
      .ioctl =
          [](fuse_req_t request, fuse_ino_t, unsigned, void*, fuse_file_info*, unsigned,
             const void*, std::size_t, std::size_t) {
            Serve(request, Operation::kIoctl,
                  [&](FileSystem&) { fuse_reply_err(request, ENOTTY); });
          },
      .forget_multi =
          [](fuse_req_t request, std::size_t count, fuse_forget_data* forgets) {
            for (fuse_forget_data& forget : std::span(forgets, count)) {
              Self(request).statistics().Count(Operation::kForget);
              Self(request).Forget(forget.ino, forget.nlookup);
            }
            fuse_reply_none(request);
          },
      .readdirplus =
          [](fuse_req_t request, fuse_ino_t inode, std::size_t size, off_t offset,
             fuse_file_info*) {
            Serve(request, Operation::kReaddirplus,
                  [&](FileSystem& self) { self.Readdir(request, inode, size, offset, true); });
          },
      .lseek =
          [](fuse_req_t request, fuse_ino_t inode, off_t offset, int whence, fuse_file_info*) {
            Serve(request, Operation::kLseek,
                  [&](FileSystem& self) { self.Lseek(request, inode, offset, whence); });
          },
  };
  return operations;
}

}  // namespace haft
