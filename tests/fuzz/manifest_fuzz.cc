// libFuzzer target: what ParseManifest() accepts is safe to use as paths and survives being written
// again.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "haft/base/error.h"
#include "haft/format/manifest.h"

namespace haft::format {
namespace {

void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

void Use(std::string_view text) {
  static_cast<void>(Quoted(text));
  auto manifest = ParseManifest(text);
  if (!manifest) {
    Require(!manifest.error().message().empty(), "errors say something");
    return;
  }
  Require(IsBundleName(manifest->name), "the name is one");
  Require(IsMountPath(manifest->mount), "the mount path is one");
  const std::string& python = manifest->python.path;
  Require(python.empty() || python[0] == '/' || IsImagePath(python),
          "the interpreter's path is absolute or in the image");
  Require(manifest->entry.file.empty() || IsImagePath(manifest->entry.file),
          "a script is in the image");
  Require(manifest->preamble.empty() || IsImagePath(manifest->preamble),
          "the preamble is in the image");
  for (const Variable& variable : manifest->environment)
    Require(IsVariableName(variable.name), "a variable has a name");
  std::string written = ToJson(*manifest);
  auto again = ParseManifest(written);
  Require(again.has_value() && ToJson(*again) == written, "a manifest survives being written");
  Require(!Describe(manifest->entry).empty(), "every entry can be described");
}

}  // namespace
}  // namespace haft::format

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  haft::format::Use({reinterpret_cast<const char*>(data), size});
  return 0;
}
