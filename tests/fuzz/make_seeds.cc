// Writes the inputs the fuzzers start from: make_seeds IMAGE_DIRECTORY MANIFEST_DIRECTORY
#include <fmt/format.h>

#include <string>

#include "format/forged_image.h"
#include "haft/base/file_io.h"
#include "haft/format/checksum.h"
#include "image/snapshot.h"
#include "support/test_tree.h"

namespace haft::testing {
namespace {

void Write(const std::string& directory, std::string_view name, std::span<const std::byte> bytes) {
  WriteTestFile(fmt::format("{}/{}", directory, name), AsText(bytes));
}

void WriteImages(const std::string& directory) {
  ImageOptions options{.block_size = 4096, .workers = 1, .progress = {}};
  Write(directory, "empty", BuildImage(Tree(), options));
  Write(directory, "one-file", BuildImage(MakeTree({{"a", "contents"}}), options));
  Write(directory, "small", BuildImage(MakeTree({{"a/b/c", "x"}, {"a/b/d", ""}, {"e", std::string(5000, 'y')}}), options));
  Write(directory, "sample", SampleImage(4));
  Write(directory, "many", BuildImage(SampleTree(40)));
  auto runtime = FakeRuntime(200);
  options.runtime_size = runtime.size();
  options.runtime_checksum = format::Checksum(runtime);
  Write(directory, "bundle", JoinBundle(runtime, BuildImage(MakeTree({{"a/b", "c"}}), options)));
  ForgedImage holes(BuildImage(MakeTree({{"holes", std::string(20'000, '\0') + "x"}, {"z", "z"}}), {.block_size = 4096, .workers = 1, .progress = {}}));
  Write(directory, "holes", holes.Bytes());
}

void WriteManifests(const std::string& directory) {
  format::Manifest manifest = TestManifest();
  Write(directory, "function", AsBytes(format::ToJson(manifest)));
  manifest.entry = {.kind = format::EntryKind::kModule, .module = "http.server", .function = "", .script = ""};
  Write(directory, "module", AsBytes(format::ToJson(manifest)));
  manifest.scripts = {{.kind = format::EntryKind::kScript, .module = "", .function = "", .script = "s", .file = "bin/s"}};
  manifest.arguments = manifest.python_arguments = {"-O"};
  manifest.environment = {{"A", "b"}};
  manifest.isolated = manifest.multi_call = true;
  manifest.preamble = "bin/p.py";
  Write(directory, "full", AsBytes(format::ToJson(manifest)));
  manifest.entry = {};
  Write(directory, "none", AsBytes(format::ToJson(manifest)));
}

}  // namespace
}  // namespace haft::testing

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  haft::testing::WriteImages(argv[1]);
  haft::testing::WriteManifests(argv[2]);
}
