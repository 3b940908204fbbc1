#include "haft/python/pyc_compiler.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::Expect;
using testing::MakeTree;
using testing::Message;
using testing::TempDir;
using testing::WriteTestFile;

const PythonInterpreter& Python() {
  static const PythonInterpreter python = *PythonInterpreter::Ask("/usr/bin/python3");
  return python;
}

std::string Cached(std::string_view name) {
  return fmt::format("{}.{}.pyc", name, Python().target().tag);
}

std::string Contents(const Tree& tree, const std::string& path) {
  const TreeNode* node = tree.Find(path);
  if (node == nullptr || node->file() == nullptr) {
    ADD_FAILURE() << path << " is no file";
    return "";
  }
  return Expect(ReadSource(node->file()->source, node->file()->size));
}

std::map<std::string, std::string> AllContents(const Tree& tree) {
  std::map<std::string, std::string> contents;
  tree.Walk([&](const std::string& path, const TreeNode& node) {
    if (node.file() != nullptr) contents[path] = Contents(tree, path);
  });
  return contents;
}

TEST(PythonInterpreterTest, KnowsItself) {
  const format::PythonTarget& target = Python().target();
  EXPECT_EQ(target.path, "/usr/bin/python3");  // the symbolic link itself
  EXPECT_TRUE(target.version.starts_with("3."));
  EXPECT_TRUE(target.tag.starts_with("cpython-3"));
  EXPECT_TRUE(target.soabi.starts_with(target.tag)) << target.soabi;
  EXPECT_TRUE(Expect(Python().Finds("http")));
  EXPECT_TRUE(Expect(Python().Finds("sys")));
  EXPECT_FALSE(Expect(Python().Finds("no_such_module_here")));
}

TEST(PythonInterpreterTest, OneLineForEveryProblem) {
  TempDir dir;
  WriteTestFile(dir / "plain", "");
  WriteTestFile(dir / "fails", "#!/bin/sh\necho first >&2; echo why >&2; exit 3\n", 0755);
  WriteTestFile(dir / "talks", "#!/bin/sh\necho hello\n", 0755);
  WriteTestFile(dir / "old", "#!/bin/sh\nprintf 'haft-answer\\n3.7.1\\ncpython-37\\n\\n/old\\n'\n",
                0755);
  auto message = [](const std::string& name) { return Message(PythonInterpreter::Ask(name)); };
  EXPECT_EQ(
      message("/no/python"),
      "python '/no/python': No such file or directory; -p names the interpreter the bundle is for");
  EXPECT_EQ(message(dir / "plain"),
            "python " + Quoted(dir / "plain") +
                ": Permission denied; -p names the interpreter the bundle is for");
  EXPECT_EQ(
      message("no-such-python"),
      "python 'no-such-python': not found in PATH; -p names the interpreter the bundle is for");
  EXPECT_EQ(message(dir / "fails"),
            "python: " + Quoted(dir / "fails") +
                ": exit status 3, 'first'; -p needs a Python interpreter, 3.8 or "
                "newer");
  EXPECT_EQ(
      message(dir / "talks"),
      "python: " + Quoted(dir / "talks") +
          ": does not answer as a Python interpreter; -p needs a Python interpreter, 3.8 or newer");
  EXPECT_EQ(message(dir / "old"), "python " + Quoted(dir / "old") +
                                      ": is Python 3.7.1; bundles need Python 3.8 or newer");
  EXPECT_FALSE(PythonInterpreter::Ask(""));
}

TEST(PycCompilerTest, WritesUncheckedHashesAndRunTimePaths) {
  Tree tree;
  ASSERT_TRUE(tree.AddText("s/a/mod.py", "def f(): pass\n", {.mode = 0600, .mtime = 77}));
  ASSERT_TRUE(
      tree.AddText("s/a/new.py", "x = 1\n", {.mode = 0600, .mtime = 99, .mtime_nanoseconds = 3}));
  ASSERT_TRUE(tree.AddText("s/a/notes.txt", "x"));
  CompileReport report = Expect(PycCompiler(Python(), "/run/haft/app", 1).Compile(tree, {"s"}));
  EXPECT_EQ(report.compiled, 2u);
  EXPECT_TRUE(report.not_compiled.empty());
  std::string pyc = Contents(tree, "s/a/__pycache__/" + Cached("mod"));
  EXPECT_EQ(pyc.substr(4, 4), std::string("\1\0\0\0", 4));
  EXPECT_NE(pyc.find("/run/haft/app/s/a/mod.py"), pyc.npos);
  const TreeNode& node = *tree.Find("s/a/__pycache__/" + Cached("mod"));
  EXPECT_EQ(node.attributes.mode, 0644u);
  EXPECT_EQ(node.attributes.mtime, 77);
  const TreeNode& cache = *tree.Find("s/a/__pycache__");
  EXPECT_EQ(cache.attributes.mode, 0755u);
  EXPECT_EQ(cache.attributes.mtime, 99);
  EXPECT_EQ(cache.attributes.mtime_nanoseconds, 3u);
  EXPECT_EQ(tree.Find("s/a")->attributes.mtime, kGeneratedTime);
}

TEST(PycCompilerTest, PythonUsesWhatItWrote) {
  TempDir dir;
  Tree tree = MakeTree({{"mod.py", "print('source')\n"}});
  ASSERT_TRUE(PycCompiler(Python(), dir.path(), 1).Compile(tree, {""}));
  std::string pyc = Contents(tree, "__pycache__/" + Cached("mod"));
  // Were the .pyc not used, the other source would run.
  WriteTestFile(dir / "mod.py", "print('not this')\n");
  WriteTestFile(dir / ("__pycache__/" + Cached("mod")), pyc);
  CommandOutput output =
      Expect(RunCommand({.program = "/usr/bin/python3",
                         .arguments = {"-B", "-c", "import mod; print(mod.__file__)"},
                         .environment = {"PYTHONPATH=" + dir.path()}}));
  EXPECT_EQ(output.out, "source\n" + (dir / "mod.py") + "\n") << output.errors;
}

TEST(PycCompilerTest, ReplacesItsOwnAndLeavesTheRest) {
  Tree tree = MakeTree({{"s/a.py", "x = 1\n"},
                        {"s/__pycache__/other.cpython-27.pyc", "other"},
                        {"s/__pycache__/x.py", "in a cache"},
                        {"s/gone.pyc", "gone"}});
  ASSERT_TRUE(tree.AddText("s/__pycache__/" + Cached("a"), "stale"));
  ASSERT_TRUE(tree.AddSymlink("s/link.py", {}, "a.py", ""));
  CompileReport report = Expect(PycCompiler(Python(), "/run/haft/app", 1).Compile(tree, {"s"}));
  EXPECT_EQ(report.compiled, 1u);
  EXPECT_NE(Contents(tree, "s/__pycache__/" + Cached("a")), "stale");
  EXPECT_EQ(Contents(tree, "s/__pycache__/other.cpython-27.pyc"), "other");
  EXPECT_EQ(Contents(tree, "s/gone.pyc"), "gone");
}

TEST(PycCompilerTest, ReportsWhatDoesNotCompileAndGoesOn) {
  Tree tree = MakeTree({{"s/a_syntax.py", "x =\n"},
                        {"s/b_zero.py", std::string_view("x\0y", 3)},
                        {"s/c_encoding.py", "# -*- coding: nonsense -*-\n"},
                        {"s/d_bytes.py", "x = '\xff'\n"},
                        {"s/e_deep.py", std::string(150000, '-') + "1\n"},
                        {"s/f_print.py", "print 'old'\n"},
                        {"s/g_cache/x.py", ""},
                        {"s/g_cache/__pycache__", "a file"},
                        {"s/h_latin.py", "# coding: latin-1\nx = '\xe4'\n"},
                        {"s/z_good.py", "x = 1\n"}});
  ASSERT_TRUE(tree.AddText("s/" + std::string(250, 'n') + ".py", "x = 1\n"));
  ASSERT_TRUE(tree.AddText("s/\xff.py", "x = 1\n"));
  CompileReport report = Expect(PycCompiler(Python(), "/run/haft/app", 2).Compile(tree, {"s"}));
  EXPECT_EQ(report.compiled, 3u);
  ASSERT_EQ(report.not_compiled.size(), 8u);
  std::string all;
  for (const std::string& line : report.not_compiled) {
    EXPECT_EQ(line.find('\n'), line.npos) << line;
    all += line + "\n";
  }
  EXPECT_NE(all.find("'s/a_syntax.py': SyntaxError: invalid syntax (line 1)\n"), all.npos) << all;
  EXPECT_NE(all.find("'s/e_deep.py': "), all.npos) << all;
  EXPECT_NE(all.find("'s/g_cache/x.py': __pycache__ is no directory\n"), all.npos) << all;
  EXPECT_NE(tree.Find("s/__pycache__/" + Cached("z_good")), nullptr);
}

TEST(PycCompilerTest, BytesDoNotDependOnWorkersOrSurroundings) {
  auto build = [](unsigned workers) {
    Tree tree;
    for (int i = 0; i < 120; ++i) {
      // Names and constants that other modules intern too: what marshal marks as shared depends on
      // that.
      std::string text = fmt::format(
          "import os, sys\nspam{0} = 'spam{1}'\neggs = {{'spam{1}', 'a', None, 'name{2}', {0}}}\n"
          "def f(self, name{2}=None):\n  return name{2} in {{None, 'spam{1}', 'x y', {0}}}\n"
          "class C{1}:\n  attribute{2} = ('spam{0}', 'value', b'x')\n",
          i, i / 3, i % 7);
      EXPECT_TRUE(tree.AddText(fmt::format("s/p{}/m{}.py", i % 11, i), text));
    }
    EXPECT_EQ(Expect(PycCompiler(Python(), "/run/haft/app", workers).Compile(tree, {"s"})).compiled,
              120u);
    return AllContents(tree);
  };
  auto one = build(1);
  ::setenv("PYTHONHASHSEED", "77", 1);
  ::setenv("LC_ALL", "de_DE.ISO-8859-1", 1);
  ::setenv("spam1", "name2", 1);
  auto three = build(3);
  ::unsetenv("PYTHONHASHSEED");
  ::unsetenv("LC_ALL");
  ::unsetenv("spam1");
  EXPECT_TRUE(one == three);
}

TEST(PycCompilerTest, AScriptAroundTheInterpreterMayPrint) {
  TempDir dir;
  WriteTestFile(dir / "python", "#!/bin/sh\n/usr/bin/python3 \"$@\" | sed s/x/x/\n", 0755);
  PythonInterpreter python = *PythonInterpreter::Ask(dir / "python");
  Tree tree = MakeTree({{"s/a.py", "x = 1\n"}});
  EXPECT_EQ(Expect(PycCompiler(python, "/run/haft/app", 1).Compile(tree, {"s"})).compiled, 1u);
}

TEST(PycCompilerTest, AWorkerThatDiesIsAnErrorWithTheFile) {
  TempDir dir;
  WriteTestFile(
      dir / "python",
      "#!/bin/sh\nif [ \"$1\" = -I ]; then /usr/bin/python3 \"$@\" | sed '5s|.*|'$0'|'; exit; fi\n"
      "echo broken >&2; exit 1\n",
      0755);
  PythonInterpreter python = *PythonInterpreter::Ask(dir / "python");
  Tree tree = MakeTree({{"s/a.py", "x = 1\n"}});
  EXPECT_EQ(Message(PycCompiler(python, "/run/haft/app", 1).Compile(tree, {"s"})),
            "compile 's/a.py': " + Quoted(dir / "python") +
                " ended unexpectedly, 'broken'; --no-compile leaves the tree as it is");
}

TEST(PycCompilerTest, ReportsProgress) {
  Tree tree;
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(tree.AddText(fmt::format("s/m{}.py", i), ""));
  std::uint64_t last = 0, all = 0;
  ASSERT_TRUE(
      PycCompiler(Python(), "/run/haft/app", 2).Compile(tree, {"s"}, [&](auto done, auto total) {
        EXPECT_GT(done, last);
        last = done;
        all = total;
      }));
  EXPECT_EQ(last, 50u);
  EXPECT_EQ(all, 50u);
}

}  // namespace
}  // namespace haft
