#include "import_follower.h"

#include <gtest/gtest.h>

#include "haft/python/pyc_compiler.h"
#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::Expect;
using testing::MakeTree;

class ImportFollowerTest : public ::testing::Test {
 protected:
  // Names of the files that follow, without directory of the cache and tag, one after another.
  std::string Follow(Tree tree, const std::vector<std::string>& start) {
    auto asked = PythonInterpreter::Ask("/usr/bin/python3");
    EXPECT_TRUE(asked.has_value());
    const PythonInterpreter& python = *asked;
    PycCompiler compiler(python, "/haft/x", 1);
    Expect(compiler.Compile(tree, {"sp"}, [](auto, auto) {}));
    const std::string tag = "." + python.target().tag + ".pyc";
    std::vector<std::string> cached;
    for (const std::string& path : start) cached.push_back(path + tag);
    std::string names;
    for (std::string path : Expect(FollowImports(tree, python, {"sp"}, cached))) {
      EXPECT_TRUE(path.ends_with(tag)) << path;
      path.resize(path.size() - tag.size());
      const std::string_view cache = "__pycache__/";
      path.erase(path.find(cache), cache.size());
      names += (names.empty() ? "" : " ") + path.substr(3);
    }
    return names;
  }
};

TEST_F(ImportFollowerTest, PlacesWhatFunctionsImportInTheOrderOfAStart) {
  EXPECT_EQ(Follow(MakeTree({{"sp/cli.py",
                              "import top\n"
                              "def main():\n"
                              "  import late.part\n"
                              "  from pack import other, VALUE\n"
                              "class Command:\n"
                              "  def run(self):\n"
                              "    return lambda: __import__('never')\n"
                              "  async def ask(self):\n"
                              "    import asked\n"},
                             {"sp/top.py", "def f():\n  import after_top\n"},
                             {"sp/after_top.py", ""},
                             {"sp/asked.py", ""},
                             {"sp/never.py", ""},
                             {"sp/late/__init__.py", "from . import inner\n"},
                             {"sp/late/inner.py", "class C:\n  import of_class\n"},
                             {"sp/late/part.py", "def g():\n  from ..late import deep\n"},
                             {"sp/late/deep.py", ""},
                             {"sp/of_class.py", ""},
                             {"sp/pack/__init__.py", "VALUE = 1\n"},
                             {"sp/pack/other.py", "import os, cli, top\n"}}),
                   {"sp/__pycache__/cli", "sp/__pycache__/top"}),
            "late/__init__ late/inner of_class late/part pack/__init__ pack/other asked after_top "
            "late/deep");
}

TEST_F(ImportFollowerTest, FollowsConstantsWithLongNumbers) {
  // More than 256 names and constants before the import: its argument takes two bytes.
  std::string text = "def main():\n";
  for (int i = 0; i < 300; ++i)
    text += "  x.a" + std::to_string(i) + " = 'c" + std::to_string(i) + "'\n";
  text += "  from . import far\n  import near.far\n";
  EXPECT_EQ(
      Follow(MakeTree({{"sp/p/__init__.py", text}, {"sp/p/far.py", ""}, {"sp/near/far.py", ""}}),
             {"sp/p/__pycache__/__init__"}),
      "p/far near/far");
}

TEST_F(ImportFollowerTest, GoesRoundCirclesOnce) {
  EXPECT_EQ(Follow(MakeTree({{"sp/a.py", "def f():\n  import b\n"},
                             {"sp/b.py", "import a, c\n"},
                             {"sp/c.py", "import b\ndef g():\n  import a, b, c, d\n"},
                             {"sp/d.py", "from ........ import a\n"}}),
                   {"sp/__pycache__/a"}),
            "b c d");
}

}  // namespace
}  // namespace haft
