// `haft build`: from site-packages directories to one executable file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "haft/base/error.h"
#include "haft/build/build_options.h"

namespace haft {

struct BuildReport {
  std::string image_id;  // hexadecimal
  std::uint64_t files = 0;
  std::uint64_t content_bytes = 0;  // before deduplication and compression
  std::uint64_t output_bytes = 0;
  std::uint64_t compiled = 0;             // .pyc files written, those of .haft/py among them
  std::uint64_t profiled = 0;             // files in the profile
  std::vector<std::string> warnings;      // one line each
  std::vector<std::string> not_compiled;  // sources without .pyc: "'path': why", one line each
};

// Same inputs (names, contents, modes, times), options and lz4 version give the same bytes,
// whatever the directory, umask, time zone and number of workers. SOURCE_DATE_EPOCH, if set, caps
// all times. Not for two threads at once: SIGXFSZ is ignored meanwhile, so that a file size limit
// is an error.
Result<BuildReport> BuildBundle(const BuildOptions& options);

}  // namespace haft
