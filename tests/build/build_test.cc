#include "haft/build/build.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>

#include "haft/base/file_io.h"
#include "haft/format/bundle_file.h"
#include "haft/format/digest.h"
#include "haft/image/image_reader.h"
#include "haft/python/bootstrap.h"
#include "haft/python/bootstrap_files.h"
#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::Expect;
using testing::Message;
using testing::ReadTestFile;
using testing::TempDir;
using testing::WriteTestFile;

unsigned CurrentUmask() {
  mode_t mask = ::umask(022);
  ::umask(mask);
  return mask;
}

class BuildTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ::unsetenv("SOURCE_DATE_EPOCH");
    WriteInput(dir_ / "in");
    WriteTestFile(dir_ / "runtime", "#!runtime " + std::string(5000, 'r'), 0755);
  }

  static void WriteInput(const std::string& path) {
    WriteTestFile(path + "/app/__init__.py", "");
    for (int i = 0; i < 40; ++i) {
      WriteTestFile(fmt::format("{}/app/m{}.py", path, i),
                    fmt::format("def main(): return {{'a', None, 'b{}'}}\n", i));
    }
    WriteTestFile(path + "/app-1.dist-info/entry_points.txt",
                  "[console_scripts]\napp = app.m1:main\n");
    WriteTestFile(path + "/data.bin", testing::RandomBytes(400000, 1));
    std::vector<std::string> paths = {path,
                                      path + "/app",
                                      path + "/app/__init__.py",
                                      path + "/data.bin",
                                      path + "/app-1.dist-info",
                                      path + "/app-1.dist-info/entry_points.txt"};
    for (int i = 0; i < 40; ++i) paths.push_back(fmt::format("{}/app/m{}.py", path, i));
    timespec times[2] = {{1600000000, 0}, {1600000000, 123}};
    for (const std::string& name : paths) {
      EXPECT_EQ(::utimensat(AT_FDCWD, name.c_str(), times, 0), 0) << name;
    }
  }

  BuildOptions Options() const {
    return {.site_packages = {dir_ / "in"},
            .entry = {.console_script = "app"},
            .python = "/usr/bin/python3",
            .runtime = dir_ / "runtime",
            .output = dir_ / "out/app",
            .name = "app",
            .workers = 2};
  }

  std::string Failing(const BuildOptions& options) const {
    ::mkdir((dir_ / "out").c_str(), 0777);
    std::string message = Message(BuildBundle(options));
    EXPECT_EQ(message.find('\n'), message.npos) << message;
    EXPECT_TRUE(::access((dir_ / "out").c_str(), F_OK) != 0 || ::rmdir((dir_ / "out").c_str()) == 0)
        << "something was left in the output directory";
    return message;
  }

  BuildReport Build(const BuildOptions& options) const {
    ::mkdir((dir_ / "out").c_str(), 0777);
    return Expect(BuildBundle(options));
  }

  TempDir dir_;
};

TEST_F(BuildTest, MakesARuntimeFollowedByAnImage) {
  BuildReport report = Build(Options());
  UniqueFd fd = Expect(OpenFile(dir_ / "out/app", O_RDONLY));
  struct stat status;
  ASSERT_EQ(::fstat(fd.get(), &status), 0);
  EXPECT_EQ(status.st_mode & 0111, 0111u & ~CurrentUmask());
  EXPECT_EQ(report.output_bytes, static_cast<std::uint64_t>(status.st_size));
  format::BundleFile bundle = Expect(format::LocateImage(fd.get()));
  EXPECT_EQ(bundle.image_offset, 8192u);
  EXPECT_EQ(bundle.trailer.runtime_size, 5010u);
  EXPECT_EQ(report.image_id, format::ToHex(bundle.trailer.root));
  std::string runtime(5010, '\0');
  ASSERT_TRUE(ReadExactly(fd.get(), std::as_writable_bytes(std::span(runtime)), 0));
  EXPECT_EQ(runtime, ReadTestFile(dir_ / "runtime"));

  format::Manifest manifest = Expect(format::ReadManifest(fd.get(), bundle));
  EXPECT_EQ(manifest.name, "app");
  EXPECT_EQ(manifest.mount, "/run/haft/app");
  EXPECT_EQ(format::Describe(manifest.entry), "app (app.m1:main)");
  EXPECT_EQ(manifest.paths, std::vector<std::string>{"site-packages"});
  EXPECT_TRUE(manifest.builder.starts_with("haft "));

  ImageReader reader = *ImageReader::Open(std::move(fd));
  EXPECT_EQ(Expect(reader.EntryCount(InodeId::kRoot)), 3u);  // .haft, bin, site-packages
  Attributes packages = Expect(reader.Resolve("site-packages")).attributes;
  EXPECT_EQ(packages.mtime, 1600000000);
  EXPECT_EQ(packages.mtime_nanoseconds, 123u);
  EXPECT_EQ(Expect(reader.Resolve("")).attributes.mtime, kGeneratedTime);
  Attributes module = Expect(reader.Resolve(".haft/py/_haft_bundle.py")).attributes;
  EXPECT_EQ(module.mtime, kGeneratedTime);
  EXPECT_EQ(module.mode, 0644u);
  EXPECT_TRUE(reader.Resolve("site-packages/app/__pycache__/m3." + manifest.python.tag + ".pyc"));
  EXPECT_TRUE(reader.Resolve(".haft/py/__pycache__/_haft_bundle." + manifest.python.tag + ".pyc"));
  EXPECT_EQ(report.compiled, 41u + BootstrapFiles().size() + 1);
}

TEST_F(BuildTest, WithoutCompilingTheInputStaysAsItIs) {
  BuildOptions options = Options();
  options.compile = false;
  options.runtime = "";
  Build(options);
  ImageReader reader = *ImageReader::Open(Expect(OpenFile(dir_ / "out/app", O_RDONLY)));
  EXPECT_FALSE(reader.Resolve("site-packages/app/__pycache__"));
  EXPECT_TRUE(reader.Resolve(".haft/py/__pycache__"));
  struct stat status;
  ASSERT_EQ(::stat((dir_ / "out/app").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0111, 0u);  // a bare image is no program
}

TEST_F(BuildTest, SameInputSameBytes) {
  BuildOptions options = Options();
  options.workers = 1;
  Build(options);
  std::string first = ReadTestFile(dir_ / "out/app");

  WriteInput(dir_ / "elsewhere/copy");
  options.site_packages = {dir_ / "elsewhere/copy"};
  options.workers = 3;
  options.output = dir_ / "out/other";
  mode_t before = ::umask(077);
  ::setenv("TZ", "Asia/Tokyo", 1);
  Build(options);
  ::unsetenv("TZ");
  ::umask(before);
  EXPECT_TRUE(first == ReadTestFile(dir_ / "out/other"));
}

TEST_F(BuildTest, SourceDateEpochCapsAllTimes) {
  ::setenv("SOURCE_DATE_EPOCH", "1500000000", 1);
  BuildOptions options = Options();
  Build(options);
  ::setenv("SOURCE_DATE_EPOCH", "yesterday", 1);
  EXPECT_EQ(Message(BuildBundle(options)),
            "SOURCE_DATE_EPOCH 'yesterday': not a number of seconds");
  ::unsetenv("SOURCE_DATE_EPOCH");
  ImageReader reader = *ImageReader::Open(Expect(OpenFile(dir_ / "out/app", O_RDONLY)));
  for (const char* path :
       {"site-packages", "site-packages/app/m1.py", "site-packages/app/__pycache__"}) {
    EXPECT_EQ(Expect(reader.Resolve(path)).attributes.mtime, 1500000000) << path;
    EXPECT_EQ(Expect(reader.Resolve(path)).attributes.mtime_nanoseconds, 0u) << path;
  }
  EXPECT_EQ(Expect(reader.Resolve(".haft")).attributes.mtime, kGeneratedTime);
}

TEST_F(BuildTest, FailuresAreOneLineAndLeaveNothing) {
  BuildOptions options = Options();
  options.entry.console_script = "ap";
  EXPECT_EQ(Failing(options),
            "console script 'ap': not in the inputs, which define 'app'; did you mean 'app'?");
  options = Options();
  options.site_packages = {dir_ / "none"};
  EXPECT_EQ(Failing(options),
            "site-packages " + Quoted(dir_ / "none") + ": No such file or directory");
  options = Options();
  options.runtime = dir_ / "none";
  EXPECT_EQ(Failing(options), "runtime: " + Quoted(dir_ / "none") + ": No such file or directory");
  options = Options();
  options.output = dir_.path();
  EXPECT_EQ(Failing(options), "write " + Quoted(dir_.path()) + ": Is a directory");
  options = Options();
  options.output = dir_ / "none/app";
  EXPECT_EQ(Failing(options), "write " + Quoted(dir_ / "none/app") + ": no such directory " +
                                  Quoted(dir_ / "none") + "; create it");
  options = Options();
  options.entry = {.module = "no_such_module.x"};
  EXPECT_EQ(Failing(options),
            "module 'no_such_module.x': neither in the inputs nor known to '/usr/bin/python3'");
  options.entry = {.module = "app", .executable = "/bin/true"};
  EXPECT_EQ(Failing(options), "a bundle has one entry");
  options = Options();
  options.pip_arguments = {"--target=x"};
  EXPECT_EQ(Failing(options),
            "pip argument '--target=x': haft chooses where pip installs; leave it out");
  options.pip_arguments = {};
  options.mount = "relative";
  EXPECT_EQ(
      Failing(options),
      "mount path 'relative': not an absolute path of [A-Za-z0-9._/-]; write it as in '/opt/app'");
  options = Options();
  options.python = "/no/python";
  EXPECT_NE(Failing(options).find("'/no/python': No such file"), std::string::npos);
}

TEST_F(BuildTest, EntriesMayComeFromTheHost) {
  BuildOptions options = Options();
  options.entry = {.module = "http.server"};
  Build(options);
  options.entry = {.entry_point = "app.m2:main"};
  Build(options);
}

TEST_F(BuildTest, AFileSizeLimitIsAnErrorAndKeepsTheOldOutput) {
  WriteTestFile(dir_ / "out/app", "old");
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = {100000, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  std::string message = Message(BuildBundle(Options()));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(
      message,
      "write " + Quoted(dir_ / "out/app") +
          ": File too large; raise the limit of a file's size (ulimit -f, systemd: LimitFSIZE=)");
  EXPECT_EQ(ReadTestFile(dir_ / "out/app"), "old");
  ASSERT_EQ(::unlink((dir_ / "out/app").c_str()), 0);
  EXPECT_EQ(::rmdir((dir_ / "out").c_str()), 0);
}

TEST_F(BuildTest, EveryStepReportsItsEnd) {
  std::set<std::string> finished;
  BuildOptions options = Options();
  options.progress = [&](const BuildProgress& progress) {
    if (progress.done == progress.total) finished.insert(std::string(progress.step));
  };
  Build(options);
  EXPECT_EQ(finished, (std::set<std::string>{"scan", "compile", "profile", "compress"}));
}

TEST(BootstrapTest, WritesPythonLiterals) {
  format::Manifest manifest = testing::TestManifest();
  EXPECT_EQ(BundleModule(manifest),
            "\"\"\"Facts about this bundle; written by haft build.\"\"\"\n"
            "NAME = 'test'\n"
            "BUILD_ID = ''\n"
            "PYTHON = '/usr/bin/python3'\n"
            "PYTHON_TAG = 'cpython-311'\n"
            "PYTHON_SOABI = 'cpython-311-x86_64-linux-gnu'\n"
            "PYTHON_VERSION = '3.11.2'\n"
            "PYTHON_ARGUMENTS = ()\n"
            "PATHS = ('site-packages', )\n"
            "ISOLATED = False\n"
            "PREAMBLE = ''\n");
  manifest.name = "a'b\\\n";
  EXPECT_NE(BundleModule(manifest).find("NAME = 'a\\'b\\\\\\x0a'\n"), std::string::npos);
}

TEST(BootstrapTest, PutsFilesWhereTheRuntimeLooks) {
  Tree tree;
  constexpr EmbeddedFile kFiles[] = {{"start.py", "print()\n"}};
  ASSERT_TRUE(AddBootstrap(tree, kFiles, testing::TestManifest()));
  EXPECT_NE(tree.Find(".haft/py/start.py"), nullptr);
  EXPECT_NE(tree.Find(".haft/py/_haft_bundle.py"), nullptr);
  EXPECT_EQ(tree.Find(".haft/py")->attributes.mode, 0755u);
}

}  // namespace
}  // namespace haft
