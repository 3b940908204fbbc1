#include "output.h"

#include <unistd.h>

#include "haft/base/file_io.h"

namespace haft::cli {

Result<> Print(std::string_view text) {
  auto done = WriteAll(STDOUT_FILENO, AsBytes(text));
  if (!done) return Failure(std::move(done).error().Within("standard output"));
  return {};
}

}  // namespace haft::cli
