#include "output.h"

#include <unistd.h>

#include "haft/base/file_io.h"

namespace haft::cli {

Result<> Print(std::string_view text) {
  TRY_WITHIN("standard output", WriteAll(STDOUT_FILENO, AsBytes(text)));
  return {};
}

}  // namespace haft::cli
