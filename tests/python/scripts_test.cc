#include "haft/python/scripts.h"

#include <gtest/gtest.h>

#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::Expect;
using testing::MakeTree;
using testing::Message;

constexpr NodeAttributes kProgram = {.mode = 0755, .mtime = kGeneratedTime};

Tree ScriptTree() {
  Tree tree = MakeTree({{"s/a-1.dist-info/entry_points.txt",
                         "[console_scripts]\nTool=a:main [x]\nbad=nothing\ntwice=a:b\n"},
                        {"s/b-1.dist-info/entry_points.txt", "[console_scripts]\ntwice=c:d\n"},
                        {"s/bin/note.txt", "no script"},
                        {"s/bin/plain.py", "print()"},
                        {"s/bin/sub/deep", "#!/bin/sh"}});
  EXPECT_TRUE(tree.AddText("s/bin/Tool", "#!/usr/bin/python3\n", kProgram));
  EXPECT_TRUE(tree.AddText("s/bin/bad", "#!/usr/bin/python3\n", kProgram));
  EXPECT_TRUE(tree.AddText("s/bin/run me", "#!/usr/bin/env -S A=1 python3 -s\nprint()", kProgram));
  EXPECT_TRUE(tree.AddText("s/bin/run.sh", "#!/bin/sh\npython3 -V", kProgram));
  EXPECT_TRUE(tree.AddText("s/bin/elf",
                           std::string("\x7f"
                                       "ELF\0\0",
                                       6),
                           kProgram));
  EXPECT_TRUE(tree.AddText("s/bin/\xff", "#!/bin/sh", kProgram));
  EXPECT_TRUE(tree.AddSymlink("s/bin/link", {}, "run.sh", ""));
  EXPECT_TRUE(tree.AddSymlink("s/bin/away", {}, "/bin/sh", ""));
  return tree;
}

TEST(ScriptsTest, ListsConsoleScriptsAndProgramsOfBin) {
  std::string list;
  for (const format::Entry& entry : Expect(ListScripts(ScriptTree(), "s"))) {
    list += format::Describe(entry) + (entry.python ? " python\n" : "\n");
  }
  EXPECT_EQ(list,
            "Tool (a:main)\nelf (s/bin/elf)\nlink (s/bin/link)\nplain.py (s/bin/plain.py) python\n"
            "run me (s/bin/run me) python\nrun.sh (s/bin/run.sh)\n");
}

TEST(ScriptsTest, FindsConsoleScriptsFirst) {
  Tree tree = ScriptTree();
  EXPECT_EQ(format::Describe(Expect(FindScript(tree, "s", "Tool"))), "Tool (a:main)");
  EXPECT_EQ(format::Describe(Expect(FindScript(tree, "s", "run.sh"))), "run.sh (s/bin/run.sh)");
  EXPECT_TRUE(Expect(FindScript(tree, "s", "run me")).python);
  EXPECT_EQ(Message(FindScript(tree, "s", "tool")),
            "console script 'tool': not in the inputs, which define 'Tool', 'bad', 'twice'; did "
            "you mean 'Tool'?");
  EXPECT_FALSE(FindScript(tree, "s", "bad"));
  EXPECT_FALSE(FindScript(tree, "s", "twice"));
  EXPECT_FALSE(FindScript(tree, "s", "sub/deep"));
  EXPECT_EQ(Message(FindScript(tree, "s", "note.txt")),
            "'s/bin/note.txt': is neither Python nor executable; chmod +x it");
}

}  // namespace
}  // namespace haft
