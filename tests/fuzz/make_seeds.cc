// Writes the inputs the fuzzers start from: make_seeds IMAGE_DIRECTORY MANIFEST_DIRECTORY
// ZIP_DIRECTORY TRUST_DIRECTORY
#include <fmt/format.h>

#include <string>

#include "archive/zip_maker.h"
#include "format/forged_image.h"
#include "haft/base/file_io.h"
#include "haft/format/digest.h"
#include "haft/format/signature_area.h"
#include "image/snapshot.h"
#include "support/test_tree.h"
#include "trust/test_keys.h"
#include "wire.h"

namespace haft::testing {
namespace {

void Write(const std::string& directory, std::string_view name, std::span<const std::byte> bytes) {
  WriteTestFile(fmt::format("{}/{}", directory, name), AsText(bytes));
}

void WriteImages(const std::string& directory) {
  ImageOptions options{.block_size = 4096, .workers = 1, .progress = {}};
  Write(directory, "empty", BuildImage(Tree(), options));
  Write(directory, "one-file", BuildImage(MakeTree({{"a", "contents"}}), options));
  Write(directory, "small",
        BuildImage(MakeTree({{"a/b/c", "x"}, {"a/b/d", ""}, {"e", std::string(5000, 'y')}}),
                   options));
  Write(directory, "sample", SampleImage(4));
  Write(directory, "many", BuildImage(SampleTree(40)));
  ImageOptions zstd{
      .block_size = 4096, .compression = Compression::kZstd, .workers = 1, .progress = {}};
  Write(directory, "zstd",
        BuildImage(MakeTree({{"a/b", std::string(3000, 'x') + "y"}, {"e", std::string(9000, 'y')}}),
                   zstd));
  auto runtime = FakeRuntime(200);
  options.runtime_size = runtime.size();
  options.runtime_digest = format::Sha256Of(runtime);
  Write(directory, "bundle", JoinBundle(runtime, BuildImage(MakeTree({{"a/b", "c"}}), options)));
  ForgedImage holes(BuildImage(MakeTree({{"holes", std::string(20'000, '\0') + "x"}, {"z", "z"}}),
                               {.block_size = 4096, .workers = 1, .progress = {}}));
  Write(directory, "holes", holes.Bytes());
}

void WriteManifests(const std::string& directory) {
  format::Manifest manifest = TestManifest();
  Write(directory, "function", AsBytes(format::ToJson(manifest)));
  manifest.entry = {
      .kind = format::EntryKind::kModule, .module = "http.server", .function = "", .script = ""};
  Write(directory, "module", AsBytes(format::ToJson(manifest)));
  manifest.scripts = {{.kind = format::EntryKind::kScript,
                       .module = "",
                       .function = "",
                       .script = "s",
                       .file = "bin/s"}};
  manifest.arguments = manifest.python_arguments = {"-O"};
  manifest.environment = {{"A", "b"}};
  manifest.isolated = manifest.multi_call = true;
  manifest.preamble = "bin/p.py";
  Write(directory, "full", AsBytes(format::ToJson(manifest)));
  manifest.entry = {};
  Write(directory, "none", AsBytes(format::ToJson(manifest)));
}

void WriteZips(const std::string& directory) {
  auto write = [&](std::string_view name, const MadeZip& zip) {
    Write(directory, name, AsBytes(zip.Bytes()));
  };
  using enum MadeEntry::Descriptor;
  write("empty", ZipOf({}));
  MadeZip kinds = ZipOf({{.name = "a", .data = "stored"},
                         {.name = "b", .data = std::string(3000, 'b'), .method = 8},
                         {.name = "d/", .mode = 040755},
                         {.name = "d/e", .data = "", .method = 8},
                         {.name = "l", .data = "d/e", .mode = 0120777},
                         {.name = "m", .data = "x", .mode = 0}});
  write("kinds", kinds);
  kinds.stub = "#!/usr/bin/env python3 -sE\n";
  kinds.comment = "comment";
  write("stub", kinds);
  kinds.adjusted = true;
  kinds.zip64 = true;
  write("zip64", kinds);
  write("descriptors",
        ZipOf({{.name = "a", .data = "1", .flags = 8, .descriptor = kWithSignature},
               {.name = "b", .data = "2", .method = 8, .flags = 8, .descriptor = kWithoutSignature},
               {.name = "c", .data = "3", .flags = 8, .descriptor = kWide}}));
  write("big", ZipOf({{.name = "a", .data = std::string(300'000, 'x'), .method = 8},
                      {.name = "b", .data = std::string(140'000, 'y')}}));
  write("extra", ZipOf({{.name = "a",
                         .data = "1",
                         .flags = 0x800,
                         .extra = Extra(0x5455, std::string("\1\0\0\0\0", 5))}}));
  write("zipapp", ZipOf({{.name = "__main__.py", .data = "print()\n"},
                         {.name = "bin/x", .data = "#!/bin/sh\n", .mode = 0100755}}));
  write(
      "wheel",
      ZipOf({{.name = "d.py", .data = ""},
             {.name = "d-1.dist-info/WHEEL", .data = ""},
             {.name = "d-1.dist-info/entry_points.txt", .data = "[console_scripts]\nd = d:main\n"},
             {.name = "d-1.data/purelib/e.py", .data = ""}}));
  write("shiv", ZipOf({{.name = "environment.json",
                        .data = R"({"entry_point": "a.b:c", "build_id": "1", "preamble": "p.py"})"},
                       {.name = "site-packages/a/b.py", .data = ""},
                       {.name = "site-packages/bin/p.py", .data = ""}}));
  write("shiv-script", ZipOf({{.name = "environment.json", .data = R"({"script": "s"})"},
                              {.name = "site-packages/bin/s", .data = "#!/usr/bin/python3\n"}}));
  write("pex",
        ZipOf({{.name = "PEX-INFO",
                .data = R"({"script": "d", "inject_args": ["a"], "inject_env": {"A": "b"}})"},
               {.name = ".deps/d.whl/d.py", .data = ""},
               {.name = ".deps/d.whl/.prefix/bin/d", .data = "#!/usr/bin/python3\n"}}));
}

// The first byte chooses what it is: see trust_fuzz.cc.
void WriteTrust(const std::string& directory) {
  const TestKey key(1), hardware(2, "ssh:");
  const std::string message = "haft-root-v1\nsha256:00\n";
  const std::vector<std::string> signatures = {key.Sign(message), hardware.Sign(message, "git")};
  Write(directory, "area", AsBytes("0" + *format::MakeSignatureArea(signatures)));
  Write(directory, "signers",
        AsBytes("1# x\na@b,\"c d\" " + key.line() +
                " comment\n* namespaces=\"ha*,!git\",valid-after=\"20200101Z\",valid-before=" +
                "\"20300101120000\" " + hardware.line() + "\nr ssh-rsa AAAA\n"));
  Write(directory, "revoked", AsBytes("2" + key.line() + "\n" + hardware.line() + " x\n"));
  Write(directory, "signature", AsBytes("3" + signatures[0]));
  Write(directory, "hardware", AsBytes("3" + signatures[1]));
  Write(directory, "armour",
        AsBytes("3-----BEGIN SSH SIGNATURE-----\n" + trust::EncodeBase64(signatures[0]) +
                "\n-----END SSH SIGNATURE-----\n"));
}

}  // namespace
}  // namespace haft::testing

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  haft::testing::WriteImages(argv[1]);
  haft::testing::WriteManifests(argv[2]);
  haft::testing::WriteZips(argv[3]);
  haft::testing::WriteTrust(argv[4]);
}
