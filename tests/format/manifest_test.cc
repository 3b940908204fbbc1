#include "haft/format/manifest.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include "support/expect.h"
#include "support/test_tree.h"

namespace haft::format {
namespace {

using haft::testing::Expect;
using haft::testing::Message;
using haft::testing::TestManifest;

TEST(BundleNameTest, TakesWhatIsSafeInAPath) {
  for (const char* name : {"certbot", "a", "0", "_x", "my.app-1_2", "A.b", "x..y"})
    EXPECT_TRUE(IsBundleName(name)) << name;
  EXPECT_TRUE(IsBundleName(std::string(64, 'x')));
  EXPECT_FALSE(IsBundleName(std::string(65, 'x')));
  for (const char* name :
       {"", ".", "..", ".hidden", "-x", "a/b", "a b", "a\n", "ä", "a:b", "a\\b"}) {
    EXPECT_FALSE(IsBundleName(name)) << name;
  }
  EXPECT_FALSE(IsBundleName(std::string_view("a\0", 2)));
}

TEST(MountPathTest, TakesAbsolutePathsWithoutSurprises) {
  for (const char* path : {"/run/haft/app", "/a", "/opt/my.app/x-1", "/..a/b.."})
    EXPECT_TRUE(IsMountPath(path)) << path;
  for (const char* path :
       {"", "/", "//", "haft", "haft/app", "/run/haft/", "/run/haft//app", "/run/haft/./app",
        "/run/haft/../etc", "/..", "/.", "/a b", "/a:b", "/a\n", "/ä", "/a\\040b"}) {
    EXPECT_FALSE(IsMountPath(path)) << path;
  }
  EXPECT_FALSE(IsMountPath(std::string_view("/a\0b", 4)));
  EXPECT_TRUE(IsMountPath("/" + std::string(1023, 'x')));
  EXPECT_FALSE(IsMountPath("/" + std::string(1024, 'x')));
}

TEST(ManifestTest, ComesBackAsItWasWritten) {
  Manifest written = TestManifest();
  Manifest read = Expect(ParseManifest(ToJson(written)));
  EXPECT_EQ(ToJson(read), ToJson(written));
  EXPECT_EQ(read.name, "test");
  EXPECT_EQ(read.mount, "/run/haft/test");
  EXPECT_EQ(read.entry.kind, EntryKind::kFunction);
  EXPECT_EQ(read.entry.module, "app.main");
  EXPECT_EQ(read.entry.function, "main");
  EXPECT_EQ(read.entry.script, "app");
  EXPECT_EQ(read.python.path, "/usr/bin/python3");
  EXPECT_EQ(read.python.version, "3.11.2");
  EXPECT_EQ(read.python.tag, "cpython-311");
  EXPECT_EQ(read.python.soabi, "cpython-311-x86_64-linux-gnu");
  EXPECT_EQ(read.paths, std::vector<std::string>{"site-packages"});
  EXPECT_EQ(read.builder, "haft test");
}

TEST(ManifestTest, WritesTheBytesTheDocumentShows) {
  EXPECT_EQ(
      ToJson(TestManifest()),
      R"({"name":"test","mount":"/run/haft/test","entry":{"kind":"function","module":"app.main",)"
      R"("function":"main","script":"app"},"python":{"path":"/usr/bin/python3","version":"3.11.2",)"
      R"("tag":"cpython-311","soabi":"cpython-311-x86_64-linux-gnu"},"paths":["site-packages"],)"
      R"("builder":"haft test"})");
  Manifest module = TestManifest();
  module.entry = {
      .kind = EntryKind::kModule, .module = "http.server", .function = "", .script = ""};
  EXPECT_NE(ToJson(module).find(R"("entry":{"kind":"module","module":"http.server"})"),
            std::string::npos);
  EXPECT_EQ(Expect(ParseManifest(ToJson(module))).entry.kind, EntryKind::kModule);
  module.entry = {};
  EXPECT_EQ(ToJson(module).find("entry"), std::string::npos);
  EXPECT_EQ(Expect(ParseManifest(ToJson(module))).entry.kind, EntryKind::kNone);
}

// Every member, none at its default.
Manifest FullManifest() {
  Manifest manifest = TestManifest();
  manifest.entry = {.kind = EntryKind::kScript,
                    .module = "",
                    .function = "",
                    .script = "run me",
                    .file = "bin/run me",
                    .python = true};
  manifest.scripts = {
      {.kind = EntryKind::kFunction, .module = "a", .function = "b", .script = "A%"},
      {.kind = EntryKind::kScript, .module = "", .function = "", .script = "s", .file = "bin/s"}};
  manifest.python.path = ".haft/python/bin/python3.11";
  manifest.paths = {"", "lib"};
  manifest.arguments = {"--flag", ""};
  manifest.python_arguments = {"-O", "-X", "dev"};
  manifest.environment = {{"B", "2"}, {"A", ""}, {"B", "3"}};
  manifest.unset = {"HTTPD"};
  manifest.web = {.interface = "wsgi", .application = "a:b", .server = "httpd"};
  manifest.isolated = manifest.ignore_environment = manifest.multi_call = true;
  manifest.preamble = "bin/pre.py";
  manifest.build_id = "42";
  return manifest;
}

TEST(ManifestTest, WritesEveryMemberTheDocumentShows) {
  const std::string json = ToJson(FullManifest());
  EXPECT_EQ(
      json,
      R"({"name":"test","mount":"/run/haft/test","entry":{"kind":"script","file":"bin/run me","python":true,"script":"run me"},)"
      R"("scripts":[{"kind":"function","module":"a","function":"b","script":"A%"},{"kind":"script","file":"bin/s","script":"s"}],)"
      R"("python":{"path":".haft/python/bin/python3.11","version":"3.11.2","tag":"cpython-311",)"
      R"("soabi":"cpython-311-x86_64-linux-gnu"},"paths":["","lib"],"arguments":["--flag",""],)"
      R"("python_arguments":["-O","-X","dev"],"environment":[["B","2"],["A",""],["B","3"]],"unset":["HTTPD"],)"
      R"("web_application":{"interface":"wsgi","application":"a:b","server":"httpd"},"isolated":true,)"
      R"("ignore_environment":true,"multi_call":true,"preamble":"bin/pre.py","build_id":"42","builder":"haft test"})");
  EXPECT_EQ(ToJson(Expect(ParseManifest(json))), json);
}

TEST(ManifestTest, ReadsThoseOfEarlierBuilders) {
  Manifest old = Expect(ParseManifest(
      R"({"name":"a","mount":"/run/haft/a","entry":{"kind":"function","module":"m","function":"f","script":"a"},)"
      R"("python":{"path":"/usr/bin/python3","version":"3.11.2","tag":"cpython-311","soabi":""},)"
      R"("paths":["site-packages"],"builder":"haft 0.1.0"})"));
  EXPECT_EQ(Describe(old.entry), "a (m:f)");
  EXPECT_TRUE(old.scripts.empty() && old.arguments.empty() && old.environment.empty() &&
              old.preamble.empty());
  EXPECT_FALSE(old.isolated || old.multi_call || old.ignore_environment);
}

// Time in proportion to the text, also where it names a hundred thousand members.
TEST(ManifestTest, ManyMembersOfTheFutureCostLittle) {
  std::string json = R"({"name": "a", "mount": "/run/haft/a", "paths": [])";
  for (int i = 0; i < 60'000; ++i) json += fmt::format(R"(,"m{}":0)", i);
  EXPECT_TRUE(ParseManifest(json + "}"));
}

TEST(ManifestTest, KnowsTheInterpreterEntry) {
  Manifest manifest = TestManifest();
  manifest.entry = {.kind = EntryKind::kInterpreter, .module = "", .function = "", .script = ""};
  EXPECT_NE(ToJson(manifest).find(R"("entry":{"kind":"interpreter"})"), std::string::npos);
  EXPECT_EQ(Expect(ParseManifest(ToJson(manifest))).entry.kind, EntryKind::kInterpreter);
}

TEST(ManifestTest, IgnoresMembersOfTheFuture) {
  Manifest manifest = Expect(ParseManifest(
      R"({"future": {"a": [1]}, "name": "a", "mount": "/run/haft/a", "paths": [], "entry":
                               {"kind": "module", "module": "m", "new": null}})"));
  EXPECT_EQ(manifest.name, "a");
  EXPECT_TRUE(manifest.paths.empty());
  EXPECT_EQ(manifest.python.path, "");
}

TEST(ManifestTest, DescribesEntries) {
  EXPECT_EQ(Describe({}), "none");
  EXPECT_EQ(
      Describe({.kind = EntryKind::kModule, .module = "http.server", .function = "", .script = ""}),
      "-m http.server");
  EXPECT_EQ(Describe(TestManifest().entry), "app (app.main:main)");
  EXPECT_EQ(
      Describe({.kind = EntryKind::kFunction, .module = "a", .function = "B.c", .script = ""}),
      "a:B.c");
}

struct BadManifest {
  std::string json, message;
  ErrorKind kind = ErrorKind::kCorrupt;
};

// A whole manifest, with one member replaced or (empty text) left out.
std::string With(std::string_view member, std::string_view value) {
  std::string json = "{";
  for (auto [name, standard] :
       {std::pair<std::string_view, std::string_view>{"name", R"("app")"},
        {"mount", R"("/run/haft/app")"},
        {"entry", R"({"kind": "module", "module": "m"})"},
        {"python", R"({"path": "/usr/bin/python3"})"},
        {"paths", R"(["site-packages"])"},
        {"scripts", "[]"},
        {"arguments", "[]"},
        {"python_arguments", "[]"},
        {"environment", "[]"},
        {"unset", "[]"},
        {"web_application", R"({"interface": "wsgi", "application": "a:b", "server": "httpd"})"},
        {"isolated", "false"},
        {"ignore_environment", "false"},
        {"multi_call", "false"},
        {"preamble", R"("")"},
        {"build_id", R"("")"}}) {
    std::string_view text = name == member ? value : standard;
    if (!text.empty()) json += fmt::format("{}\"{}\": {}", json.size() > 1 ? ", " : "", name, text);
  }
  return json + "}";
}

std::string Missing(std::string_view member) {
  return fmt::format("manifest: {} is missing or not of its type", member);
}

class BadManifestTest : public ::testing::TestWithParam<BadManifest> {};

TEST_P(BadManifestTest, IsRefusedWithTheMemberThatIsWrong) {
  auto manifest = ParseManifest(GetParam().json);
  ASSERT_FALSE(manifest.has_value()) << GetParam().json;
  EXPECT_EQ(manifest.error().message(), GetParam().message) << GetParam().json;
  EXPECT_EQ(manifest.error().kind(), GetParam().kind);
}

const std::string kNotAnObject = "manifest: not a JSON object";

INSTANTIATE_TEST_SUITE_P(
    All, BadManifestTest,
    ::testing::Values(
        BadManifest{"", kNotAnObject}, BadManifest{"{", kNotAnObject},
        BadManifest{"[]", kNotAnObject}, BadManifest{"null", kNotAnObject},
        BadManifest{"\"name\"", kNotAnObject}, BadManifest{"{}x", kNotAnObject},
        BadManifest{"{\"name\": \"\xff\"}", kNotAnObject},
        BadManifest{std::string(100000, '['), "manifest: nested too deeply"},
        BadManifest{"{}", Missing("name")}, BadManifest{With("name", ""), Missing("name")},
        BadManifest{With("name", "7"), Missing("name")},
        BadManifest{With("name", R"("../x")"), Missing("name")},
        BadManifest{With("name", R"("a\u0000")"), Missing("name")},
        BadManifest{With("mount", ""), Missing("mount")},
        BadManifest{With("mount", "[]"), Missing("mount")},
        BadManifest{With("mount", R"("/")"), Missing("mount")},
        BadManifest{With("mount", R"("haft/app")"), Missing("mount")},
        BadManifest{With("mount", R"("/run/haft/../etc")"), Missing("mount")},
        BadManifest{With("paths", ""), Missing("paths")},
        BadManifest{With("paths", R"("site-packages")"), Missing("paths")},
        BadManifest{With("paths", "[1]"), Missing("paths")},
        BadManifest{With("paths", R"(["a", "../b"])"), Missing("paths")},
        BadManifest{With("paths", R"(["/a"])"), Missing("paths")},
        BadManifest{With("paths", R"(["a:b"])"), Missing("paths")},
        BadManifest{With("entry", "1"), Missing("entry")},
        BadManifest{With("entry", "{}"), Missing("kind")},
        BadManifest{With("entry", R"({"module": "m"})"), Missing("kind")},
        BadManifest{With("entry", R"({"module": 1, "kind": "module"})"), Missing("module")},
        BadManifest{With("entry", R"({"module": "m", "kind": "function"})"), Missing("function")},
        BadManifest{With("entry", R"({"module": "m", "kind": "shell"})"),
                    "manifest: entry kind 'shell' is unknown", ErrorKind::kUnsupported},
        BadManifest{With("entry", R"({"module": "m", "kind": ""})"),
                    "manifest: entry kind '' is unknown", ErrorKind::kUnsupported},
        BadManifest{With("entry", R"({"kind": "function", "function": "f"})"), Missing("module")},
        BadManifest{With("entry", R"({"kind": "script"})"), Missing("file")},
        BadManifest{With("entry", R"({"kind": "script", "file": "/bin/sh"})"), Missing("file")},
        BadManifest{With("entry", R"({"kind": "script", "file": "../x"})"), Missing("file")},
        BadManifest{With("entry", R"({"kind": "script", "file": "a", "python": 1})"),
                    Missing("python")},
        BadManifest{With("entry", R"({"kind": "interpreter", "script": 1})"), Missing("script")},
        BadManifest{With("scripts", "{}"), Missing("scripts")},
        BadManifest{With("scripts", "[1]"), Missing("entry")},
        BadManifest{With("scripts", R"([{"kind": "module", "module": "m"}])"), Missing("script")},
        BadManifest{With("arguments", "1"), Missing("arguments")},
        BadManifest{With("arguments", R"(["a\u0000"])"), Missing("arguments")},
        BadManifest{With("python_arguments", "[[]]"), Missing("python_arguments")},
        BadManifest{With("environment", R"({"A": "b"})"), Missing("environment")},
        BadManifest{With("environment", R"([["A"]])"), Missing("environment")},
        BadManifest{With("environment", R"([["", "x"]])"), Missing("environment")},
        BadManifest{With("environment", R"([["A=", "x"]])"), Missing("environment")},
        BadManifest{With("environment", R"([["A", "\u0000"]])"), Missing("environment")},
        BadManifest{With("unset", R"(["A=B"])"), Missing("unset")},
        BadManifest{With("unset", "{}"), Missing("unset")},
        BadManifest{With("web_application", "[]"), Missing("web_application")},
        BadManifest{With("web_application", "{}"), Missing("interface")},
        BadManifest{With("web_application",
                         R"({"interface": "wsgi", "application": "", "server": "httpd"})"),
                    Missing("application")},
        BadManifest{With("web_application", R"({"interface": "wsgi", "application": "a:b"})"),
                    Missing("server")},
        BadManifest{With("isolated", "1"), Missing("isolated")},
        BadManifest{With("multi_call", R"("yes")"), Missing("multi_call")},
        BadManifest{With("ignore_environment", "null"), Missing("ignore_environment")},
        BadManifest{With("preamble", R"("/x.py")"), Missing("preamble")},
        BadManifest{With("build_id", "7"), Missing("build_id")},
        BadManifest{With("python", R"({"path": "../python3"})"), Missing("python.path")},
        BadManifest{With("python", R"({"path": "./python3"})"), Missing("python.path")},
        BadManifest{With("python", R"({"path": 1})"), Missing("path")},
        BadManifest{With("python", R"({"path": "/usr/bin/python3\u0000x"})"),
                    Missing("python.path")}));

}  // namespace
}  // namespace haft::format
