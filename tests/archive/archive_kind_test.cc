#include "haft/archive/archive_kind.h"

#include <gtest/gtest.h>

#include "support/expect.h"
#include "support/test_tree.h"
#include "zip_maker.h"

namespace haft::testing {
namespace {

ArchiveInfo Is(const Tree& tree) {
  return Expect(Recognise(tree, "f.pyz"));
}

TEST(Recognise, Shiv) {
  ArchiveInfo info = Is(MakeTree(
      {{"environment.json",
        R"({"build_id": "abc", "entry_point": "app.cli:main", "script": "app", "hashes": {}})"},
       {"__main__.py", ""},
       {"_bootstrap/__init__.py", ""},
       {"site-packages/app/cli.py", ""}}));
  EXPECT_EQ(info.kind, ArchiveKind::kShiv);
  EXPECT_EQ(info.manifest.entry.kind, format::EntryKind::kFunction);
  EXPECT_EQ(info.manifest.entry.module, "app.cli");
  EXPECT_EQ(info.manifest.entry.function, "main");
  EXPECT_EQ(info.manifest.entry.script, "app");
  EXPECT_EQ(info.manifest.build_id, "abc");
  EXPECT_EQ(info.manifest.paths, std::vector<std::string>{"site-packages"});
  EXPECT_EQ(info.InSitePackages("site-packages/app/cli.py"), "app/cli.py");
  EXPECT_EQ(info.InSitePackages("__main__.py"), std::nullopt);
  EXPECT_EQ(info.InSitePackages("site-packages"), std::nullopt);
  EXPECT_EQ(info.InSitePackages("site-packages-2/x"), std::nullopt);
}

TEST(Recognise, ShivEntryPoints) {
  auto entry_of = [](std::string_view text) {
    std::string json = R"({"entry_point": ")" + std::string(text) + R"("})";
    Tree tree = MakeTree({{"environment.json", json}, {"site-packages/app/main.py", ""}});
    format::Entry entry = Is(tree).manifest.entry;
    return entry.module + ":" + entry.function;
  };
  EXPECT_EQ(entry_of("app.main:run"), "app.main:run");
  EXPECT_EQ(entry_of("app.main:run [extra]"), "app.main:run");
  EXPECT_EQ(entry_of("app.main.run"), "app.main:run");
  EXPECT_EQ(entry_of("app.main"), "app.main:main");  // a function called like its module
  EXPECT_EQ(entry_of("app"), "app:app");
}

TEST(Recognise, ShivScriptFromBin) {
  Tree tree = MakeTree({{"environment.json", R"({"entry_point": null, "script": "tool.py"})"},
                        {"site-packages/bin/tool.py", "#!/usr/bin/python3\n"}});
  EXPECT_EQ(Is(tree).manifest.entry.file, "site-packages/bin/tool.py");
  tree = MakeTree({{"environment.json", R"({"script": "gone"})"}, {"site-packages/x.py", ""}});
  EXPECT_EQ(Is(tree).obstacle,
            "its script 'gone' is neither a console script nor in a bin directory");
  tree = MakeTree({{"environment.json", R"({"script": "../x"})"}, {"site-packages/x", ""}});
  EXPECT_NE(Is(tree).obstacle, "");
  tree = MakeTree({{"environment.json", "{}"}, {"site-packages/x", ""}});
  EXPECT_EQ(Is(tree).manifest.entry.kind, format::EntryKind::kInterpreter);
}

TEST(Recognise, DescriptionsThatCannotBeUnderstood) {
  Tree tree = MakeTree({{"environment.json", "{"}, {"site-packages/x", ""}});
  EXPECT_EQ(Message(Recognise(tree, "f.pyz")), "'f.pyz': environment.json: not a JSON object");
  tree = MakeTree({{"environment.json", R"({"entry_point": 5})"}, {"site-packages/x", ""}});
  EXPECT_EQ(Message(Recognise(tree, "f.pyz")), "'f.pyz': environment.json: entry_point is no text");
  tree = MakeTree({{"PEX-INFO", R"({"inject_env": ["a"]})"}});
  EXPECT_EQ(Message(Recognise(tree, "f.pyz")), "'f.pyz': PEX-INFO: inject_env is not of its type");
  tree = MakeTree({{"PEX-INFO", R"({"entry_point": "a b"})"}});
  EXPECT_NE(Message(Recognise(tree, "f.pyz")), "");
}

// Only what is asked for is kept: a description of many megabytes does not become as many values.
TEST(Recognise, LongDescriptions) {
  std::string hashes;
  for (int i = 0; i < 200'000; ++i)
    hashes += R"("site-packages/)" + std::to_string(i) + R"(.py": "00",)";
  Tree tree = MakeTree(
      {{"environment.json", R"({"hashes": {)" + hashes + R"("x": ""}, "entry_point": "a:b"})"},
       {"site-packages/a.py", ""}});
  EXPECT_EQ(Is(tree).manifest.entry.module, "a");
  std::string many = R"({"inject_args": [)";
  for (int i = 0; i < 200'000; ++i) many += "0,";
  tree = MakeTree({{"PEX-INFO", many + "0]}"}});
  EXPECT_EQ(Message(Recognise(tree, "f.pex")), "'f.pex': PEX-INFO: too many values");
  tree = MakeTree({{"PEX-INFO", R"({"inject_args": )" + std::string(1 << 20, '[') +
                                    std::string(1 << 20, ']') + "}"}});
  EXPECT_NE(Message(Recognise(tree, "f.pex")), "");
  tree = MakeTree({{"PEX-INFO", "{" + std::string(17 << 20, ' ') + "}"}});
  EXPECT_EQ(Message(Recognise(tree, "f.pex")), "'f.pex': PEX-INFO is too long");
}

constexpr std::string_view kConsoleScripts = "[console_scripts]\ntool = dist.cli:main\n";

TEST(Recognise, Pex) {
  ArchiveInfo info = Is(MakeTree(
      {{"PEX-INFO", R"({"entry_point": null, "script": "tool",
                                    "inject_args": ["-v"], "inject_env": {"A": "1"}})"},
       {"__main__.py", ""},
       {".bootstrap/pex/__init__.py", ""},
       {"app.py", ""},
       {".deps/dist-1.0-py3-none-any.whl/dist/cli.py", ""},
       {".deps/dist-1.0-py3-none-any.whl/dist-1.0.dist-info/entry_points.txt", kConsoleScripts},
       {".deps/other-1.0-py3-none-any.whl/other.py", ""}}));
  EXPECT_EQ(info.kind, ArchiveKind::kPex);
  EXPECT_EQ(info.manifest.entry.module, "dist.cli");
  EXPECT_EQ(info.manifest.entry.script, "tool");
  std::vector<std::string> paths = {"", ".deps/dist-1.0-py3-none-any.whl",
                                    ".deps/other-1.0-py3-none-any.whl"};
  EXPECT_EQ(info.manifest.paths, paths);
  EXPECT_EQ(info.manifest.arguments, std::vector<std::string>{"-v"});
  ASSERT_EQ(info.manifest.environment.size(), 1u);
  EXPECT_EQ(info.manifest.environment[0].name, "A");
  EXPECT_EQ(info.manifest.environment[0].value, "1");
  EXPECT_TRUE(info.manifest.isolated);
  ASSERT_EQ(info.manifest.scripts.size(), 1u);
  EXPECT_EQ(info.manifest.scripts[0].script, "tool");
  EXPECT_EQ(info.obstacle, "");
  EXPECT_EQ(info.InSitePackages("app.py"), "app.py");
  EXPECT_EQ(info.InSitePackages("__main__.py"), std::nullopt);
  EXPECT_EQ(info.InSitePackages(".bootstrap/pex/__init__.py"), std::nullopt);
  EXPECT_EQ(info.InSitePackages(".deps"), std::nullopt);
  EXPECT_EQ(info.InSitePackages(".deps/other-1.0-py3-none-any.whl/.prefix/bin/x"), "bin/x");
  EXPECT_EQ(info.InSitePackages(".deps/other-1.0-py3-none-any.whl/other.py"), "other.py");
}

TEST(Recognise, PexEntries) {
  EXPECT_EQ(Is(MakeTree({{"PEX-INFO", R"({"entry_point": "a.b:c"})"}})).manifest.entry.function,
            "c");
  EXPECT_EQ(Is(MakeTree({{"PEX-INFO", R"({"entry_point": "a.b"})"}})).manifest.entry.kind,
            format::EntryKind::kModule);
  EXPECT_EQ(Is(MakeTree({{"PEX-INFO", "{}"}})).manifest.entry.kind,
            format::EntryKind::kInterpreter);
  EXPECT_FALSE(Is(MakeTree({{"PEX-INFO", R"({"inherit_path": "fallback"})"}})).manifest.isolated);
  ArchiveInfo script = Is(MakeTree(
      {{"PEX-INFO", R"({"script": "x"})"}, {".deps/d.whl/.prefix/bin/x", "#!/usr/bin/python3\n"}}));
  EXPECT_EQ(script.manifest.entry.file, ".deps/d.whl/.prefix/bin/x");
  EXPECT_TRUE(script.manifest.entry.python);
  ASSERT_EQ(script.manifest.scripts.size(), 1u);
  ArchiveInfo packed = Is(MakeTree({{"PEX-INFO", R"({"script": "x"})"}, {".deps/d.whl", "PK"}}));
  EXPECT_EQ(packed.obstacle,
            "its distribution '.deps/d.whl' is packed once more; build it again with pex "
            "--pre-install-wheels");
  EXPECT_NE(Is(MakeTree({{"PEX-INFO", R"({"pex_path": "/x.pex"})"}})).obstacle, "");
}

TEST(Recognise, ZipappWheelAndPlain) {
  ArchiveInfo zipapp = Is(MakeTree({{"__main__.py", "import app\n"}, {"app.py", ""}}));
  EXPECT_EQ(zipapp.kind, ArchiveKind::kZipapp);
  EXPECT_EQ(zipapp.manifest.entry.file, "__main__.py");
  EXPECT_EQ(zipapp.manifest.paths, std::vector<std::string>{""});
  EXPECT_EQ(zipapp.InSitePackages("app.py"), "app.py");

  ArchiveInfo wheel = Is(MakeTree({{"d-1.0.dist-info/WHEEL", ""},
                                   {"d.py", ""},
                                   {"d-1.0.data/purelib/e.py", ""},
                                   {"d-1.0.data/scripts/run", ""}}));
  EXPECT_EQ(wheel.kind, ArchiveKind::kWheel);
  EXPECT_EQ(wheel.manifest.paths, (std::vector<std::string>{"", "d-1.0.data/purelib"}));
  EXPECT_EQ(wheel.InSitePackages("d-1.0.data/purelib/e.py"), "e.py");
  EXPECT_EQ(wheel.InSitePackages("d-1.0.data/scripts/run"), "bin/run");
  EXPECT_EQ(wheel.InSitePackages("d-1.0.data/data/share/x"), "share/x");
  EXPECT_EQ(wheel.InSitePackages("d-1.0.data/headers/x.h"), std::nullopt);
  EXPECT_EQ(wheel.InSitePackages("d-1.0.data/scripts"), std::nullopt);
  EXPECT_EQ(wheel.InSitePackages("d-1.0.dist-info/WHEEL"), "d-1.0.dist-info/WHEEL");
  EXPECT_EQ(wheel.manifest.entry.kind, format::EntryKind::kNone);

  EXPECT_EQ(Is(MakeTree({{"readme.txt", ""}})).kind, ArchiveKind::kPlain);
  EXPECT_EQ(Is(MakeTree({{"environment.json", "{}"}})).kind, ArchiveKind::kPlain);
  EXPECT_EQ(Is(Tree()).kind, ArchiveKind::kPlain);
  EXPECT_EQ(NameOf(ArchiveKind::kWheel), "wheel");
}

TEST(Recognise, ShivPreamble) {
  Tree tree = MakeTree({{"environment.json", R"({"entry_point": "a:b", "preamble": "hook.py"})"},
                        {"site-packages/a.py", ""},
                        {"site-packages/bin/hook.py", ""}});
  EXPECT_EQ(Is(tree).manifest.preamble, "site-packages/bin/hook.py");
  tree = MakeTree({{"environment.json", R"({"entry_point": "a:b", "preamble": "../../x"})"},
                   {"site-packages/a.py", ""}});
  EXPECT_EQ(Is(tree).obstacle, "its preamble '../../x' is not there");
}

}  // namespace
}  // namespace haft::testing
