// libFuzzer target: what ParseManifest() accepts is safe to use as paths and survives being written again.
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
  Require(manifest->python.path.empty() || manifest->python.path[0] == '/', "the interpreter's path is absolute");
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
