#include "haft/python/entry_points.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::Expect;
using testing::MakeTree;
using testing::Message;

EntryPoints PointsOf(std::string_view text) {
  Tree tree = MakeTree({{"s/a-1.dist-info/entry_points.txt", text}});
  return Expect(EntryPoints::Find(tree, "s"));
}

std::string Target(const Result<format::Entry>& entry) {
  return entry ? format::Describe(*entry) : entry.error().message();
}

TEST(EntryPointsTest, ReadsOnlyScripts) {
  auto scripts = ParseScripts(
      "\xEF\xBB\xBF# comment\n[other]\nx = a:b\n\n[console_scripts]\r\nCert-Bot = "
      "certbot.main:main\r\n"
      "; another\n 100%=pkg:f %(x)s\nno value\n = no.name:f\ny= m : f [ssl, x]\n[gui]\nz = a:b\n"
      "[ gui_scripts ]\nz = a:c\n[console_scripts.extra]\nz = a:d\n");
  ASSERT_EQ(scripts.size(), 4u);
  EXPECT_EQ(scripts[0].name, "Cert-Bot");
  EXPECT_EQ(scripts[0].target, "certbot.main:main");
  EXPECT_EQ(scripts[1].name, "100%");
  EXPECT_EQ(scripts[1].target, "pkg:f %(x)s");
  EXPECT_EQ(scripts[2].name, "y");
  EXPECT_EQ(scripts[2].target, "m : f [ssl, x]");
  EXPECT_EQ(scripts[3].name, "z");
  EXPECT_EQ(scripts[3].target, "a:c");
}

TEST(EntryPointsTest, DropsExtrasAndSpaces) {
  EntryPoints points = PointsOf("[console_scripts]\na = m.n : Class.run [ssl]\nB=x:y[z]\n");
  EXPECT_EQ(Target(points.ConsoleScript("a")), "a (m.n:Class.run)");
  EXPECT_EQ(Target(points.ConsoleScript("B")), "B (x:y)");
  format::Entry entry = Expect(points.ConsoleScript("a"));
  EXPECT_EQ(entry.kind, format::EntryKind::kFunction);
  EXPECT_EQ(entry.module, "m.n");
  EXPECT_EQ(entry.function, "Class.run");
  EXPECT_EQ(entry.script, "a");
}

TEST(EntryPointsTest, LooksIntoEggInfoAndDistInfoAtTheTopOnly) {
  Tree tree = MakeTree({{"s/a.egg-info/entry_points.txt", "[console_scripts]\na=a:a"},
                        {"s/sub/b.dist-info/entry_points.txt", "[console_scripts]\nb=b:b"},
                        {"s/c.dist-info", "a file"},
                        {"s/d.dist-info/METADATA", ""}});
  EntryPoints points = Expect(EntryPoints::Find(tree, "s"));
  EXPECT_TRUE(points.ConsoleScript("a"));
  EXPECT_EQ(Message(points.ConsoleScript("b")),
            "console script 'b': not in the inputs, which define 'a'; did you mean 'a'?");
}

TEST(EntryPointsTest, LooksIntoEggs) {
  Tree tree = MakeTree({{"s/a-1-py3.11.egg/EGG-INFO/entry_points.txt", "[console_scripts]\na=a:a"},
                        {"s/b/EGG-INFO/entry_points.txt", "[console_scripts]\nb=b:b"},
                        {"s/c-1-py3.11.egg/entry_points.txt", "[console_scripts]\nc=c:c"},
                        {"s/d-1-py3.11.egg/EGG-INFO", "a file"},
                        {"s/e-1-py3.11.egg", "a zip"}});
  EXPECT_EQ(Expect(EntryPoints::Find(tree, "s")).Names(), std::vector<std::string>{"a"});
}

TEST(EntryPointsTest, SuggestsTheNearestName) {
  EntryPoints points = PointsOf("[console_scripts]\ncertbot=a:b\nflask=c:d\n");
  EXPECT_EQ(
      Message(points.ConsoleScript("cerbot")),
      "console script 'cerbot': not in the inputs, which define 'certbot', 'flask'; did you mean "
      "'certbot'?");
  EXPECT_EQ(Message(points.ConsoleScript("gunicorn")),
            "console script 'gunicorn': not in the inputs, which define 'certbot', 'flask'");
}

TEST(EntryPointsTest, ListsAtMostTwenty) {
  std::string text = "[console_scripts]\n";
  for (int i = 0; i < 50; ++i) text += fmt::format("script{:02}=a:b\n", i);
  std::string message = Message(PointsOf(text).ConsoleScript("other"));
  EXPECT_NE(message.find("'script19' and 30 more"), message.npos) << message;
  EXPECT_EQ(message.find("'script20'"), message.npos) << message;
}

TEST(EntryPointsTest, WithoutAnyScriptItNamesTheOtherWays) {
  EXPECT_EQ(
      Message(PointsOf("").ConsoleScript("x")),
      "console script 'x': the inputs define no console scripts; use -e MODULE:FUNCTION or -m "
      "MODULE");
}

TEST(EntryPointsTest, TwoMeaningsOfOneNameAreAnError) {
  Tree tree = MakeTree({{"s/a.dist-info/entry_points.txt", "[console_scripts]\nx=a:b\ny=a:b"},
                        {"s/b.dist-info/entry_points.txt", "[console_scripts]\nx=c:d\ny = a : b"}});
  EntryPoints points = Expect(EntryPoints::Find(tree, "s"));
  EXPECT_EQ(Message(points.ConsoleScript("x")),
            "console script 'x': 's/a.dist-info/entry_points.txt' and "
            "'s/b.dist-info/entry_points.txt' define it differently; choose one with -e "
            "MODULE:FUNCTION");
  EXPECT_TRUE(points.ConsoleScript("y"));
}

TEST(EntryPointsTest, ATargetWithoutFunctionIsAnError) {
  EXPECT_EQ(
      Message(PointsOf("[console_scripts]\nx = a.b\n").ConsoleScript("x")),
      "console script 'x' in 's/a-1.dist-info/entry_points.txt': 'a.b' is not MODULE:FUNCTION; "
      "write it as in 'package.module:main'");
}

TEST(HoldsModuleTest, KnowsThePlacesOfAModule) {
  Tree tree = MakeTree({{"s/package/__init__.py", ""},
                        {"s/plain.py", ""},
                        {"s/old.pyc", ""},
                        {"s/_ext.cpython-311-x86_64-linux-gnu.so", ""},
                        {"s/abi.abi3.so", ""},
                        {"s/notes.txt", ""},
                        {"s/packages", ""},
                        {"s/added/inner.py", ""},
                        {"s/x.pth", "# comment\nimport something\nadded\n"}});
  ASSERT_TRUE(tree.AddSymlink("s/linked", {}, "elsewhere", ""));
  for (const char* name :
       {"package", "package.sub", "plain", "old", "_ext", "abi", "inner", "linked"}) {
    EXPECT_TRUE(Expect(HoldsModule(tree, "s", name))) << name;
  }
  for (const char* name : {"pack", "packages", "notes", "missing", "something", "x"}) {
    EXPECT_FALSE(Expect(HoldsModule(tree, "s", name))) << name;
  }
  ASSERT_TRUE(tree.AddText("s/y.pth", "/opt/elsewhere\n"));
  EXPECT_TRUE(Expect(HoldsModule(tree, "s", "missing")));  // cannot be known
}

}  // namespace
}  // namespace haft
