#include "haft/launch/interpreter.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using format::PythonTarget;
using testing::Expect;
using testing::Message;
using testing::TempDir;
using testing::WriteTestFile;

// A version that no host has, so that only the files of the test are found.
PythonTarget Target(const std::string& path) {
  return {.path = path,
          .version = "3.98.1",
          .tag = "cpython-398",
          .soabi = "cpython-398-x86_64-linux-gnu"};
}

Environment Path(const std::string& path) {
  return Environment({"PATH=" + path});
}

// A program that answers as a Python of that version and ABI.
std::string Answering(std::string_view version, std::string_view tag, std::string_view soabi) {
  return fmt::format("#!/bin/sh\nprintf 'haft-answer\\n{}\\n{}\\n{}\\n%s\\n' \"$0\"\n", version,
                     tag, soabi);
}
const std::string kRight = Answering("3.98.7", "cpython-398", "cpython-398-x86_64-linux-gnu");

class ChooseInterpreterTest : public ::testing::Test {
 protected:
  std::string Program(std::string_view name, std::string_view text = kRight) {
    WriteTestFile(dir_ / name, text, 0755);
    return dir_ / name;
  }

  TempDir dir_;
};

TEST_F(ChooseInterpreterTest, TakesTheOneOfTheManifest) {
  std::string python = Program("python3.98");
  EXPECT_EQ(Expect(ChooseInterpreter(Target(python), Path("/nowhere"))), python);
  // Where the name does not tell, it is asked.
  for (std::string_view name :
       {"python3", "python", "pypy3", "python3-config", "python3.98-dbg", "python3.12.old"}) {
    EXPECT_EQ(Expect(ChooseInterpreter(Target(Program(name)), Path(""))), dir_ / name) << name;
  }
}

TEST_F(ChooseInterpreterTest, RefusesAnotherVersionNamingBoth) {
  std::string python = Program("python3.12");
  auto chosen = ChooseInterpreter(Target(python), Path("/nowhere"));
  EXPECT_EQ(
      Message(chosen),
      "needs Python 3.98 (cpython-398-x86_64-linux-gnu): '" + python +
          "' is Python 3.12; install python3.98, put it into PATH or name it with HAFT_PYTHON");
  EXPECT_EQ(chosen.error().kind(), ErrorKind::kNotFound);
}

TEST_F(ChooseInterpreterTest, LooksBehindSymbolicLinks) {
  Program("python3.12");
  ASSERT_EQ(::symlink("python3.12", (dir_ / "python3").c_str()), 0);
  EXPECT_EQ(
      Message(ChooseInterpreter(Target(dir_ / "python3"), Path(""))),
      "needs Python 3.98 (cpython-398-x86_64-linux-gnu): '" + (dir_ / "python3") +
          "' is Python 3.12; install python3.98, put it into PATH or name it with HAFT_PYTHON");
  // The link was moved on to another version, but the right one is in PATH.
  std::string right = Program("bin/python3.98");
  EXPECT_EQ(Expect(ChooseInterpreter(Target(dir_ / "python3"), Path(dir_ / "bin"))), right);
}

TEST_F(ChooseInterpreterTest, SearchesPathInOrder) {
  std::string second = Program("b/python3.98");
  std::string path = "/nowhere:" + (dir_ / "a") + ":" + (dir_ / "b") + ":" + (dir_ / "c");
  Program("c/python3.98");
  WriteTestFile(dir_ / "a/python3.98", "not executable", 0644);
  // Root may execute what has any x bit; this one has none.
  EXPECT_EQ(Expect(ChooseInterpreter(Target("/nowhere/python3.98"), Path(path))), second);
  EXPECT_EQ(Expect(ChooseInterpreter(Target("/nowhere/python3.98"), Path(":" + path + ":"))),
            second);
}

TEST_F(ChooseInterpreterTest, NeverSearchesTheWorkingDirectory) {
  Program("python3.98");
  Program("sub/python3.98");
  char before[4096];
  ASSERT_NE(::getcwd(before, sizeof before), nullptr);
  ASSERT_EQ(::chdir(dir_.path().c_str()), 0);
  for (std::string_view path : {"", ".", ":", "::", "sub", "./sub", "sub:", "~"}) {
    EXPECT_EQ(Message(ChooseInterpreter(Target("/nowhere/python3.98"), Path(std::string(path)))),
              "needs Python 3.98 (cpython-398-x86_64-linux-gnu): '/nowhere/python3.98' is not "
              "there; install python3.98, put it into PATH or name it with HAFT_PYTHON")
        << path;
  }
  EXPECT_FALSE(
      ChooseInterpreter(Target("/nowhere/python3.98"), Environment(std::vector<std::string>{}))
          .has_value());
  EXPECT_EQ(::chdir(before), 0);
}

TEST_F(ChooseInterpreterTest, ADirectoryIsNoInterpreter) {
  std::string right = Program("bin/python3.98");
  ASSERT_EQ(::mkdir((dir_ / "python3").c_str(), 0755), 0);
  EXPECT_EQ(Expect(ChooseInterpreter(Target(dir_ / "python3"), Path(dir_ / "bin"))), right);
}

TEST_F(ChooseInterpreterTest, WhatDoesNotFitLeavesTheChoiceToTheNext) {
  // A shim, or a file without a version in its name, may have become another Python.
  const std::string right = Program("bin/python3.98");
  for (std::string_view name : {"python", "python3.98", "conda-python"}) {
    const std::string other = Program(name, Answering("3.97.1", "cpython-397", ""));
    EXPECT_EQ(Expect(ChooseInterpreter(Target(other), Path(dir_ / "bin"))), right) << name;
    EXPECT_EQ(Message(ChooseInterpreter(Target(other), Path(""))),
              "needs Python 3.98 (cpython-398-x86_64-linux-gnu): '" + other +
                  "' is Python 3.97.1 (cpython-397); install python3.98, put it into PATH or name "
                  "it with HAFT_PYTHON");
  }
}

TEST_F(ChooseInterpreterTest, TakesWhatAShimStartsInsteadOfTheShim) {
  const std::string real = Program("opt/python3.98");
  const std::string shim = Program("shims/python3", "#!/bin/sh\nexec '" + real + "' \"$@\"\n");
  EXPECT_EQ(Expect(ChooseInterpreter(Target("/nowhere"), Path(""), shim)), real);
  EXPECT_EQ(Expect(ChooseInterpreter(Target(shim), Path(""))), real);
}

TEST_F(ChooseInterpreterTest, QuotesTheLineThatSaysWhy) {
  auto why = [&](std::string_view errors) {
    const std::string python =
        Program("broken", fmt::format("#!/bin/sh\nprintf '{}\\n' >&2\nexit 3\n", errors));
    return Message(ChooseInterpreter(Target("/nowhere"), Path(""), python));
  };
  EXPECT_TRUE(
      why("\nshim: no such version\n\nNote: see help").ends_with("'shim: no such version'"));
  EXPECT_TRUE(why("Traceback (most recent call last):\\n  x\\nNo: y").ends_with("'No: y'"));
  EXPECT_TRUE(why("Python path\\nFatal Python error: a\\nCurrent thread").ends_with("error: a'"));
  EXPECT_TRUE(why("").ends_with("exit status 3"));
}

TEST_F(ChooseInterpreterTest, NeedsAManifestThatNamesOne) {
  EXPECT_EQ(Message(ChooseInterpreter({}, Path("/usr/bin"))), "the manifest names no interpreter");
}

TEST_F(ChooseInterpreterTest, OfTheOthersVersionAndAbiHaveToBeTheSame) {
  Program("a/python3.98", Answering("3.98.2", "cpython-398", "cpython-398d-x86_64-linux-gnu"));
  std::string path = (dir_ / "a") + ":" + (dir_ / "b");
  EXPECT_EQ(Message(ChooseInterpreter(Target("/nowhere/python3.98"), Path(path))),
            "needs Python 3.98 (cpython-398-x86_64-linux-gnu): '" + (dir_ / "a/python3.98") +
                "' is Python 3.98.2 (cpython-398d-x86_64-linux-gnu); install python3.98, put it "
                "into PATH or name it with "
                "HAFT_PYTHON");
  std::string right = Program("b/python3.98");
  EXPECT_EQ(Expect(ChooseInterpreter(Target("/nowhere/python3.98"), Path(path))), right);
  Program("a/python3.98", "#!/bin/sh\necho oops >&2; exit 3\n");
  EXPECT_EQ(Expect(ChooseInterpreter(Target("/nowhere/python3.98"), Path(path))), right);
}

TEST_F(ChooseInterpreterTest, TheWishIsTakenOrRefused) {
  std::string built_for = Program("python3.98"), other = Program("my/python"),
              wrong = Program("w/python3.98", Answering("3.97.1", "cpython-397", ""));
  EXPECT_EQ(Expect(ChooseInterpreter(Target(built_for), Path(""), other)), other);
  EXPECT_EQ(
      Expect(ChooseInterpreter(Target(built_for), Path("/nowhere:" + (dir_ / "my")), "python")),
      other);
  EXPECT_EQ(Message(ChooseInterpreter(Target(built_for), Path(""), wrong)),
            "needs Python 3.98 (cpython-398-x86_64-linux-gnu): not taken: '" + wrong +
                "' is Python 3.97.1 (cpython-397)");
  const std::string how = "; HAFT_PYTHON, and -p of 'haft run', take a path or a name in PATH";
  EXPECT_EQ(Message(ChooseInterpreter(Target(built_for), Path(""), "python")),
            "interpreter 'python': not found in PATH" + how);
  EXPECT_EQ(Message(ChooseInterpreter(Target(built_for), Path(""), "/no/python")),
            "interpreter '/no/python': No such file or directory" + how);
  EXPECT_EQ(Message(ChooseInterpreter(Target(built_for), Path(""), "/usr")),
            "interpreter '/usr': Permission denied" + how);
  EXPECT_EQ(Message(ChooseInterpreter(Target(built_for), Path(""), "/bin/true")),
            "needs Python 3.98 (cpython-398-x86_64-linux-gnu): not taken: '/bin/true': does not "
            "answer as a Python interpreter");
}

TEST_F(ChooseInterpreterTest, WhatAnArchiveDoesNotKnowFitsAll) {
  std::string python = Program("python3.98");
  EXPECT_EQ(Expect(ChooseInterpreter({.path = python}, Path(""))), python);
  EXPECT_EQ(Expect(ChooseInterpreter({.path = "/nowhere"}, Path(""), python)), python);
  EXPECT_EQ(Message(ChooseInterpreter({.path = "/nowhere/x"}, Path(""))),
            "'/nowhere/x' is not there; name an interpreter with HAFT_PYTHON");
}

TEST_F(ChooseInterpreterTest, AsksWithoutTheVariablesOfTheUser) {
  // A bundle named as interpreter would else ask itself for ever.
  std::string text = fmt::format(
      "#!/bin/sh\n[ -z \"$HAFT_PYTHON$PYTHONHOME\" ] && [ \"$KEEP\" = 1 ] || exit 9\n{}",
      kRight.substr(10));
  std::string python = Program("picky", text);
  Environment environment({"HAFT_PYTHON=x", "PYTHONHOME=/x", "KEEP=1"});
  EXPECT_EQ(Expect(ChooseInterpreter(Target("/nowhere"), environment, python)), python);
}

TEST(AskInterpreterTest, KnowsThisHostsPython) {
  PythonTarget target = Expect(AskInterpreter("/usr/bin/python3", Environment::Current()));
  EXPECT_EQ(target.path, "/usr/bin/python3");
  EXPECT_TRUE(target.version.starts_with("3.")) << target.version;
  EXPECT_TRUE(target.soabi.starts_with(target.tag)) << target.soabi;
}

}  // namespace
}  // namespace haft
