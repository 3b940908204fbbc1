// What one start of a bundle did: put together from the server's request log and the events of its
// Pythons.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "haft/base/error.h"
#include "haft/format/byte_range.h"
#include "haft/fuse/request_log.h"
#include "haft/image/image_reader.h"

namespace haft::trace {

// All times are CLOCK_MONOTONIC in nanoseconds; durations are nanoseconds.
using Nanoseconds = std::uint64_t;

// An interpreter that ran the bundle's sitecustomize.
struct Python {
  int pid;
  Nanoseconds begin;
  std::string executable;
};

// One import that was not answered by sys.modules.
struct Import {
  int pid;
  int thread;
  Nanoseconds begin;
  Nanoseconds end;
  Nanoseconds self = 0;  // without the imports inside
  std::string module;
  std::string importer;  // the module that asked for it; "" if nobody did
  std::string file;      // in the image, of what was executed (.pyc, .so, .py); "" if elsewhere
  bool failed;
};

enum class Use {
  kRead,    // contents were read
  kListed,  // a directory's
  kIndex,   // a module that came without its file being touched (from the import index)
  kFound,   // only looked up or asked for its attributes
};
std::string_view UseName(Use use);

// What happened to one file or directory of the image.
struct File {
  std::string path;  // relative to the root of the image; "" is the root
  FileType type;
  std::uint64_t size;
  Use use = Use::kFound;
  Nanoseconds first = 0;   // when it was first asked for
  Nanoseconds last = 0;    // when the last answer was given
  Nanoseconds server = 0;  // time that answering took, decoding included
  Nanoseconds decoding = 0;
  std::uint32_t requests = 0;
  std::uint64_t bytes = 0;  // of contents sent
  std::vector<format::ByteRange>
      ranges;  // of contents, in the order of first use, merged where they touch
  std::vector<std::uint32_t> blocks;  // in the order of first use
  std::string module;                 // the module it is
  std::string importer;  // who imported that, or was running when the file was first used
};

struct UnusedFile {
  std::string path;
  std::uint64_t size;
};

// What a start was, as its observer saw it.
struct Run {
  std::vector<std::string> command;
  int status;  // as waitpid(2) gives it
  Nanoseconds begin;
  Nanoseconds end;
};

struct Trace {
  Run run;
  std::string name;                     // of the bundle
  std::vector<RequestRecord> requests;  // in order
  std::uint64_t dropped = 0;            // requests that did not fit into the log
  std::vector<std::string> paths;       // by row of the inode table
  std::vector<Python> pythons;
  std::vector<Import> imports;  // by begin
  std::vector<File> files;      // what was touched, in the order of first use
  // Regular files that were neither read nor imported, largest first; here and below without haft's
  // own (.haft).
  std::vector<UnusedFile> unused;
  std::uint64_t file_count = 0;
  std::uint64_t content_size = 0;
};

// `events`: the text that _haft_trace.py wrote; lines that make no sense are left out.
Result<Trace> Assemble(const ImageReader& reader, std::string name, Run run, const RequestLog& log,
                       std::string_view events);

// For people: a summary, the slowest files and imports, the largest unused files, `top` of each (0:
// every touched file, in the order of first use).
std::string ToTable(const Trace& trace, std::size_t top);
// The trace-event format of Chrome's about:tracing and Perfetto.
std::string ToChromeJson(const Trace& trace);
// One self-contained page.
std::string ToHtml(const Trace& trace);
// What `haft build --profile-from` takes: files in the order of first use, and which parts of them
// were read.
std::string ToProfileJson(const Trace& trace);

}  // namespace haft::trace
